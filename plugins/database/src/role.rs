//! `roles/:name`: what users on demand are like.

use bulkhead_sdk::databases::{self, Driver, UserSpec};
use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use crate::certificate;
use crate::connection::texts;
use crate::credential::SetCredential;
use crate::records::{Connection, Name, Role, StaticRole};

pub(crate) const NOT_UNIQUE: &str = "Role and Static Role names must be unique";

/// What is sent; what is not stays as it was.
#[derive(Debug, Fields)]
pub(crate) struct PutRole {
    /// Name of the database this role acts on.
    db_name: Option<String>,
    /// Specifies the database statements executed to create and configure a user.
    #[field(kind = "string-list")]
    creation_statements: Option<Vec<String>>,
    /// Specifies the database statements to be executed to revoke a user.
    #[field(kind = "string-list")]
    revocation_statements: Option<Vec<String>>,
    /// Specifies the database statements to be executed to undo what was begun when a user could not be made.
    #[field(kind = "string-list")]
    rollback_statements: Option<Vec<String>>,
    /// Specifies the database statements to be executed to renew a user.
    #[field(kind = "string-list")]
    renew_statements: Option<Vec<String>>,
    /// Default ttl for role.
    default_ttl: Option<Seconds>,
    /// Maximum time a credential is valid for
    max_ttl: Option<Seconds>,
}

pub(crate) fn put(cx: &Cx, name: &Name, sent: PutRole, credential: SetCredential) -> Result<()> {
    if cx.get::<StaticRole>(&name.0)?.is_some() {
        return Err(Error::invalid(NOT_UNIQUE));
    }
    let role: Role = cx.get(&name.0)?.unwrap_or_default();
    let role = Role {
        db_name: sent.db_name.unwrap_or(role.db_name),
        creation_statements: sent.creation_statements.unwrap_or(role.creation_statements),
        revocation_statements: filled(sent.revocation_statements.unwrap_or(role.revocation_statements)),
        rollback_statements: filled(sent.rollback_statements.unwrap_or(role.rollback_statements)),
        renew_statements: sent.renew_statements.unwrap_or(role.renew_statements),
        default_ttl: sent.default_ttl.unwrap_or(role.default_ttl),
        max_ttl: sent.max_ttl.unwrap_or(role.max_ttl),
        credential: role.credential,
    };
    if role.db_name.is_empty() {
        return Err(Error::invalid("database name is required"));
    }
    let role = Role { credential: role.credential.clone().updated(credential)?, ..role };
    try_template(cx, name, &role)?;
    cx.put(&name.0, &role)
}

/// What drivers say first of a template that is none. Here it is not the connection's own.
const UNREADABLE: &str = "unable to initialize username template: ";

/// Whether a template of names that the role brings makes one. The driver knows; where there is no connection yet, it
/// is asked when there is a user to be made.
fn try_template(cx: &Cx, name: &Name, role: &Role) -> Result<()> {
    let Some(template) = role.credential.name_template() else { return Ok(()) };
    let Some(connection) = cx.get::<Connection>(&role.db_name)? else { return Ok(()) };
    let driver = connection.driver();
    let spec = UserSpec {
        username: None,
        display_name: "token".to_owned(),
        role_name: name.0.clone(),
        username_template: Some(template.to_owned()),
        statements: Vec::new(),
        rollback_statements: Vec::new(),
        credential: databases::Credential::Password(String::new()),
        expires_at: None,
    };
    match Driver::new(&driver, connection.details.expose()).propose_username(&spec) {
        Err(Error::InvalidRequest(text)) => Err(certificate::invalid(&match text.strip_prefix(UNREADABLE) {
            Some(why) => ["failed to create template: ", why].concat(),
            None => ["invalid common_name_template: ", &text].concat(),
        })),
        other => other.map(|_| ()),
    }
}

/// Without empty statements: a list of those would stand in place of what the driver does by itself.
fn filled(mut statements: Vec<String>) -> Vec<String> {
    statements.retain(|statement| !statement.is_empty());
    statements
}

pub(crate) fn get(cx: &Cx, name: &Name) -> Result<Reply> {
    let role: Role = cx.require(&name.0)?;
    let answer = Object::with_room(512).json("creation_statements", &texts(&role.creation_statements));
    let answer = role
        .credential
        .show(answer)
        .text("db_name", &role.db_name)
        .number("default_ttl", role.default_ttl.0)
        .number("max_ttl", role.max_ttl.0)
        .json("renew_statements", &texts(&role.renew_statements))
        .json("revocation_statements", &texts(&role.revocation_statements))
        .json("rollback_statements", &texts(&role.rollback_statements));
    Ok(Reply::text(answer.end()))
}
