//! Looking up and destroying secret ids of a role, by themselves or by their accessors.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use crate::issue::show;
use crate::records::{Role, RoleName};
use crate::secret_id;

/// The secret id that is meant.
#[derive(Debug, Fields)]
pub(crate) struct BySecretId {
    /// A secret_id of the role.
    secret_id: Secret<String>,
}

/// The secret id that is meant, without telling it.
#[derive(Debug, Fields)]
pub(crate) struct ByAccessor {
    /// Accessor of a secret_id of the role.
    secret_id_accessor: String,
}

fn known(cx: &Cx, name: &RoleName) -> Result<Role> {
    cx.get(&name.0)?.ok_or_else(|| Error::invalid(format!("role {:?} does not exist", name.0)))
}

impl BySecretId {
    fn find(&self, cx: &Cx, role: &Role) -> Result<Option<secret_id::Found>> {
        secret_id::find(cx, &role.place, secret_id::hmac(cx, role, self.secret_id.expose())?)
    }

    fn check(&self) -> Result<()> {
        if self.secret_id.expose().is_empty() { Err(Error::invalid("missing secret_id")) } else { Ok(()) }
    }

    pub(crate) fn look_up(&self, cx: &Cx, name: &RoleName) -> Result<Reply> {
        self.check()?;
        let found = self.find(cx, &known(cx, name)?)?;
        Ok(found.map_or_else(Reply::empty, |found| show(&found.record)))
    }

    pub(crate) fn destroy(&self, cx: &Cx, name: &RoleName) -> Result<()> {
        self.check()?;
        let role = known(cx, name)?;
        self.find(cx, &role)?.map_or(Ok(()), |found| found.end(cx, &role.place))
    }
}

impl ByAccessor {
    fn check(&self) -> Result<()> {
        if self.secret_id_accessor.is_empty() { Err(Error::invalid("missing secret_id_accessor")) } else { Ok(()) }
    }

    fn unknown(&self) -> String {
        format!("failed to find accessor entry for secret_id_accessor: {:?}", self.secret_id_accessor)
    }

    pub(crate) fn look_up(&self, cx: &Cx, name: &RoleName) -> Result<Reply> {
        self.check()?;
        let role = known(cx, name)?;
        Ok(match secret_id::find_by_accessor(cx, &role.place, &self.secret_id_accessor)? {
            Some(found) => show(&found.record),
            None => Reply::text(Object::new().text("error", &self.unknown()).end()).status(404),
        })
    }

    pub(crate) fn destroy(&self, cx: &Cx, name: &RoleName) -> Result<()> {
        self.check()?;
        let role = known(cx, name)?;
        let found = secret_id::find_by_accessor(cx, &role.place, &self.secret_id_accessor)?;
        found.ok_or_else(|| Error::invalid(self.unknown()))?.end(cx, &role.place)
    }
}
