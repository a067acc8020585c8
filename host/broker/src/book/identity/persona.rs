//! An entity as a request meets it: with every group it is in, and what follows for its
//! policies. Put together once and kept while neither the entity nor any group changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bulkhead_barrier::{Realm, StoreError, Transaction, UNCOMMITTED};
use bulkhead_model::acl::Acl;
use bulkhead_model::change::Version;
use bulkhead_model::template::{Subject, SubjectAlias, SubjectGroup};
use parking_lot::RwLock;

use super::entities::{self, ENTITIES, EntityRecord};
use super::groups::{self, GroupRecord, Way};
use super::{Id, id_text, parse_id};

/// Personas kept at most; beyond this they are put together anew. Source: ours.
const PERSONAS_MAX: usize = 4_096;

/// An entity with its groups.
pub(crate) struct Persona {
    pub entity: EntityRecord,
    /// The groups it is directly in come first.
    pub groups: Vec<GroupRecord>,
    /// How many of the groups it is directly in.
    pub direct: usize,
    /// Policies it has by itself, then those it has through groups; each once.
    pub policies: Vec<String>,
    /// What policies' templates may speak of.
    pub subject: Subject,
    /// Rules of this persona's tokens, by the policies on the token.
    pub acls: RwLock<Rules>,
}

/// Parsed rules by names of policies.
pub(crate) type Rules = HashMap<Vec<String>, Arc<Acl>>;

impl Persona {
    /// Of an entity as the transaction has it.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn of(tx: &mut Transaction, entity: EntityRecord) -> Result<Self, StoreError> {
        let mut levels = groups::levels(tx, &entity.groups, Way::Up)?.into_iter();
        let mut groups = levels.next().unwrap_or_default();
        let direct = groups.len();
        let mut seen: HashSet<Id> = groups.iter().map(|group| group.id).collect();
        groups.extend(levels.flatten().filter(|group| seen.insert(group.id)));
        let mut policies = entity.policies.clone();
        policies.extend(groups.iter().flat_map(|group| group.policies.iter().cloned()));
        let mut named = HashSet::new();
        // Invariant: nothing but the token itself makes root. What is written is checked;
        // this holds even for what was written some other way.
        policies.retain(|name| name != "root" && named.insert(name.clone()));
        let subject = subject(&entity, &groups);
        Ok(Self { entity, groups, direct, policies, subject, acls: RwLock::default() })
    }
}

fn subject(entity: &EntityRecord, groups: &[GroupRecord]) -> Subject {
    let alias = |alias: &super::Alias| SubjectAlias {
        id: id_text(&alias.id),
        mount_accessor: alias.mount_accessor.clone(),
        name: alias.name.clone(),
        metadata: alias.metadata.clone(),
        custom_metadata: alias.custom_metadata.clone(),
    };
    let group = |group: &GroupRecord| SubjectGroup {
        id: id_text(&group.id),
        name: group.name.clone(),
        metadata: group.metadata.clone(),
    };
    Subject {
        id: id_text(&entity.id),
        name: entity.name.clone(),
        metadata: entity.metadata.clone(),
        aliases: entity.aliases.iter().map(alias).collect(),
        groups: groups.iter().map(group).collect(),
    }
}

/// Versions of the entity and of all groups.
type Versions = (Option<Version>, Option<Version>);

/// A persona with what it was put together from.
type Known = (Versions, Arc<Persona>);

/// Personas the node has put together, of each namespace.
#[derive(Default)]
pub(crate) struct Personas(RwLock<HashMap<(Realm, Id), Known>>);

impl Personas {
    /// The persona behind a token's entity id, also where that entity was merged into
    /// another. `None`: there is none any more.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn get(&self, tx: &mut Transaction, entity_id: &str) -> Result<Option<Arc<Persona>>, StoreError> {
        let Some(id) = parse_id(entity_id) else { return Ok(None) };
        let version = entities::version(tx, &id)?;
        if version.is_some() {
            return self.known(tx, &id, version);
        }
        let Some(id) = entities::merged_into(tx, &id)? else { return Ok(None) };
        let version = entities::version(tx, &id)?;
        self.known(tx, &id, version)
    }

    fn known(
        &self,
        tx: &mut Transaction,
        id: &Id,
        version: Option<Version>,
    ) -> Result<Option<Arc<Persona>>, StoreError> {
        let versions = (version, groups::version(tx)?);
        if let Some((of, persona)) = self.0.read().get(&(tx.realm(), *id))
            && *of == versions
        {
            return Ok(Some(persona.clone()));
        }
        let Some(entity) = ENTITIES.get(tx, id)? else { return Ok(None) };
        let persona = Arc::new(Persona::of(tx, entity)?);
        // What this transaction wrote itself may never be committed.
        if versions.0 != Some(UNCOMMITTED) && versions.1 != Some(UNCOMMITTED) {
            let mut personas = self.0.write();
            if personas.len() >= PERSONAS_MAX {
                personas.clear();
            }
            personas.insert((tx.realm(), *id), (versions, persona.clone()));
        }
        Ok(Some(persona))
    }
}
