//! Who is behind a login.

use super::Cx;
use crate::bindings::mounted::bulkhead::plugin::identity::{Entity, Group};
use crate::{Error, Result, host};

impl Cx {
    /// The entity with this id; `request.caller.entity_id` is one.
    #[must_use]
    pub fn entity(&self, id: &str) -> Option<Entity> {
        host::identity::lookup(id)
    }

    /// The groups an entity is a member of.
    #[must_use]
    pub fn groups(&self, entity_id: &str) -> Vec<Group> {
        host::identity::groups(entity_id)
    }

    /// A text with its `{{identity.entity…}}` filled in for one entity.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with what could not be filled in.
    pub fn expand(&self, template: &str, entity_id: &str) -> Result<String> {
        host::identity::expand(template, entity_id).map_err(Error::InvalidRequest)
    }
}
