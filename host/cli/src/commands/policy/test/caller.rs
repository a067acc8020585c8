//! Who asks, in a case: an entity and its groups, as the templates of policies see them.

use bulkhead_model::hcl::{Item, Value};
use bulkhead_model::template::{Pairs, Subject, SubjectAlias, SubjectGroup};

/// What ids are that a case leaves out: everybody has one, which is nobody else's.
const SOME_ID: &str = "00000000-0000-4000-8000-000000000000";

/// What names are that a case leaves out, likewise.
const SOME_NAME: &str = "entity_00000000";

/// Who asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Caller {
    /// The case does not say.
    #[default]
    Unknown,
    /// A token behind which there is no entity.
    Nobody,
    Known(Box<Subject>),
}

impl Caller {
    /// What templates may speak of.
    pub(super) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Unknown | Self::Nobody => None,
            Self::Known(subject) => Some(subject),
        }
    }

    fn known(&mut self) -> &mut Subject {
        if !matches!(self, Self::Known(_)) {
            let subject = Subject { id: SOME_ID.to_owned(), name: SOME_NAME.to_owned(), ..Subject::default() };
            *self = Self::Known(Box::new(subject));
        }
        match self {
            Self::Known(subject) => subject,
            Self::Unknown | Self::Nobody => unreachable!("it was made known above"),
        }
    }

    /// Takes `entity = { … }`, or `false`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn entity(&mut self, value: &Value) -> Result<(), String> {
        if *value == Value::Bool(false) {
            if *self != Self::Unknown {
                return Err("groups are those of an entity, which this case has none of".to_owned());
            }
            *self = Self::Nobody;
            return Ok(());
        }
        let items = body(value, "expected entity = { … }, or false")?;
        let subject = self.known();
        for item in items {
            match item.key.as_str() {
                "id" => subject.id = text(item)?,
                "name" => subject.name = text(item)?,
                "metadata" => subject.metadata = pairs(item)?,
                "aliases" => {
                    let by_accessor = body(&item.value, "expected aliases = { accessor = { name = … } }")?;
                    subject.aliases = by_accessor.iter().map(alias).collect::<Result<_, _>>()?;
                }
                other => return Err(unknown(other, "an entity")),
            }
        }
        Ok(())
    }

    /// Takes `groups = [ … ]`, of names or of blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn groups(&mut self, value: &Value) -> Result<(), String> {
        if *self == Self::Nobody {
            return Err("groups are those of an entity, which this case has none of".to_owned());
        }
        let Value::List(groups) = value else {
            return Err("expected groups = [\"name\"], or [{ id = …, name = …, metadata = … }]".to_owned());
        };
        self.known().groups = groups.iter().map(group).collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn alias(item: &Item) -> Result<SubjectAlias, String> {
    let (id, name) = (SOME_ID.to_owned(), SOME_NAME.to_owned());
    let mut alias = SubjectAlias { id, name, mount_accessor: item.key.clone(), ..SubjectAlias::default() };
    for item in body(&item.value, "expected aliases = { accessor = { name = … } }")? {
        match item.key.as_str() {
            "id" => alias.id = text(item)?,
            "name" => alias.name = text(item)?,
            "metadata" => alias.metadata = pairs(item)?,
            "custom_metadata" => alias.custom_metadata = pairs(item)?,
            other => return Err(unknown(other, "an alias")),
        }
    }
    Ok(alias)
}

fn group(value: &Value) -> Result<SubjectGroup, String> {
    let mut group = SubjectGroup { id: SOME_ID.to_owned(), name: "group_00000000".to_owned(), metadata: Pairs::new() };
    if let Value::Str(name) = value {
        group.name.clone_from(name);
        return Ok(group);
    }
    for item in body(value, "a group is a name, or { id = …, name = …, metadata = … }")? {
        match item.key.as_str() {
            "id" => group.id = text(item)?,
            "name" => group.name = text(item)?,
            "metadata" => group.metadata = pairs(item)?,
            other => return Err(unknown(other, "a group")),
        }
    }
    Ok(group)
}

fn body<'v>(value: &'v Value, expected: &str) -> Result<&'v [Item], String> {
    if let Value::Body(items) = value { Ok(items) } else { Err(expected.to_owned()) }
}

fn text(item: &Item) -> Result<String, String> {
    let text = item.value.scalar().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| format!("expected a text for {}", item.key))
}

fn pairs(item: &Item) -> Result<Pairs, String> {
    let items = body(&item.value, &format!("expected {} = {{ name = \"value\" }}", item.key))?;
    items.iter().map(|item| Ok((item.key.clone(), text(item)?))).collect()
}

fn unknown(key: &str, of: &str) -> String {
    format!("unknown key {key:?} in {of}")
}
