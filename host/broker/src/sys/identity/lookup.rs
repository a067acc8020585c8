//! `identity/lookup`: an entity or group by whatever one knows of it.

use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use super::{alias, entity, group, group_alias};
use crate::book::identity::entities::ENTITIES;
use crate::book::identity::groups::GROUPS;
use crate::fault::Fault;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["name", "id", "alias_id", "alias_name", "alias_mount_accessor"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("lookup/entity", W, Handler::Now(of_entity), "Look an entity up.").fields(FIELDS),
    HostRoute::new("lookup/group", W, Handler::Now(of_group), "Look a group up.").fields(FIELDS),
];

/// What a caller knows.
enum Known {
    Id(String),
    Name(String),
    AliasId(String),
    Alias { accessor: String, name: String },
}

fn known(ask: &Ask<'_>) -> Result<Known, Fault> {
    // What is sent counts, and an empty text names nobody.
    let given = |name: &str| ask.fields.text(name);
    let said = |name: &str| Ok::<_, Fault>(given(name)?.filter(|text| !text.is_empty()));
    let (accessor, name) = (said("alias_mount_accessor")?, said("alias_name")?);
    let by_alias = accessor.is_some() || name.is_some();
    let mut known: Vec<Known> = Vec::new();
    known.extend(given("id")?.map(Known::Id));
    known.extend(given("name")?.map(Known::Name));
    known.extend(given("alias_id")?.map(Known::AliasId));
    match (known.len() + usize::from(by_alias), known.pop(), accessor.zip(name)) {
        (0, ..) => Err(Fault::invalid("query parameter not supplied")),
        (1, Some(known), _) => Ok(known),
        (1, None, Some((accessor, name))) => Ok(Known::Alias { accessor, name }),
        (1, None, None) => Err(Fault::invalid("both 'alias_name' and 'alias_mount_accessor' needs to be set")),
        _ => Err(Fault::invalid("query parameter conflict; please supply distinct set of query parameters")),
    }
}

fn of_entity(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = match known(ask)? {
        Known::Id(id) => ENTITIES.by_id(&mut visit.tx, &id)?,
        Known::Name(name) => ENTITIES.by_name(&mut visit.tx, &visit.open.names, &name)?,
        Known::AliasId(id) => alias::by_id(visit, &id)?.map(|(entity, _)| entity),
        Known::Alias { accessor, name } => alias::by_name(visit, &accessor, &name)?.map(|(entity, _)| entity),
    };
    found.map_or(Ok(Reply::Empty), |found| entity::answer(visit, found))
}

fn of_group(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = match known(ask)? {
        Known::Id(id) => GROUPS.by_id(&mut visit.tx, &id)?,
        Known::Name(name) => GROUPS.by_name(&mut visit.tx, &visit.open.names, &name)?,
        Known::AliasId(id) => group_alias::by_id(visit, &id)?.map(|(group, _)| group),
        Known::Alias { accessor, name } => GROUPS.by_alias(&mut visit.tx, &visit.open.names, &accessor, &name)?,
    };
    found.map_or(Ok(Reply::Empty), |found| group::answer(visit, &found))
}
