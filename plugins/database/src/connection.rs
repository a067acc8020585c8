//! `config/:name`, `reset/:name`, `reload/:plugin_name`: how databases are reached.

use bulkhead_sdk::databases::Driver;
use bulkhead_sdk::describe::FieldDoc;
use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;

use crate::automation::{self, SetAutomation};
use crate::details::{Details, RESET_AT};
use crate::records::{Connection, Name, connection_lock};
use crate::root;
use crate::rotation;
use crate::seat;

/// How long to wait for another call that has a lock (a connection's, a role's, a name's, a seat), in milliseconds.
/// Source: ours. Why: that call waits for its database, and whoever waits for it should be told in time.
pub(crate) const LOCK_MS: u32 = 10_000;

const PASSWORD_IN_URL: &str = "Password found in connection_url, use a templated url to enable root rotation and prevent \
read access to password information.";

/// The engine's own fields. All others are the driver's.
#[derive(Debug, Fields)]
pub(crate) struct PutConnection {
    /// The name of a driver that the server knows.
    plugin_name: Option<String>,
    /// The version of the driver to use.
    plugin_version: Option<String>,
    /// If true, the connection details are verified by actually connecting to the database. Defaults to true.
    #[field(default = true)]
    verify_connection: bool,
    /// Comma separated string or array of the role names allowed to get creds from this database connection. If
    /// empty no roles are allowed. If "*" all roles are allowed.
    allowed_roles: Option<Vec<String>>,
    /// Specifies the database statements to be executed to rotate the root user's credentials.
    #[field(kind = "string-list")]
    root_rotation_statements: Option<Vec<String>>,
    /// Password policy to use when generating passwords.
    password_policy: Option<String>,
}

impl Connection {
    /// The connection of this name, which must be there.
    pub(crate) fn required(cx: &Cx, name: &str) -> Result<Self> {
        cx.get(name)?.ok_or_else(|| Error::invalid(format!("failed to find entry for connection with name: {name:?}")))
    }

    /// The driver's name, with the version if there is one.
    pub(crate) fn driver(&self) -> String {
        match self.plugin_version.as_str() {
            "" => self.plugin_name.clone(),
            version => [&self.plugin_name, "@", version].concat(),
        }
    }

    /// Whether a role of this name may use it.
    pub(crate) fn allow(&self, role: &str) -> Result<()> {
        if self.allowed_roles.iter().any(|pattern| fits(pattern, role)) {
            return Ok(());
        }
        Err(Error::invalid(format!("{role:?} is not an allowed role")))
    }
}

/// Whether a name fits a pattern, in which each `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut left) = name.strip_prefix(begin) else { return false };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(end)
}

pub(crate) fn put(
    cx: &Cx,
    name: &Name,
    sent: PutConnection,
    automation: SetAutomation,
    request: &Request,
) -> Result<Reply> {
    let _lock = cx.acquire(&connection_lock(&name.0), LOCK_MS)?;
    let mut connection: Connection = cx.get(&name.0)?.unwrap_or_default();
    set(&mut connection.plugin_name, sent.plugin_name);
    set(&mut connection.plugin_version, sent.plugin_version);
    set(&mut connection.allowed_roles, sent.allowed_roles);
    set(&mut connection.root_rotation_statements, sent.root_rotation_statements);
    set(&mut connection.password_policy, sent.password_policy);
    if connection.plugin_name.is_empty() {
        return Err(Error::invalid("empty plugin name"));
    }
    connection.automation.update(automation, cx.now_ms())?;
    connection.details = connection.details.merged(&request.data, &own_names())?;
    if connection.automation.is_active() {
        // What cannot be changed is not promised to be.
        root::account(&connection)?;
    }
    let driver = connection.driver();
    let _seat = if sent.verify_connection { seat::take(cx, &name.0, &connection)? } else { None };
    let kept = Driver::new(&driver, connection.details.expose()).verify(sent.verify_connection);
    connection.details = Details::new(kept.map_err(refused)?);
    automation::keep(cx, &name.0, &connection)?;
    rotation::wake(cx, &name.0)?;
    let is_plain = connection.details.has_password_in_url()?;
    Ok(if is_plain { Reply::empty().warn(PASSWORD_IN_URL) } else { Reply::empty() })
}

/// The names that are not the driver's.
fn own_names() -> Vec<&'static str> {
    let fields = [<PutConnection as FromRequest<'_>>::FIELDS, <SetAutomation as FromRequest<'_>>::FIELDS];
    fields.into_iter().flatten().map(own_name).chain(["name", RESET_AT]).collect()
}

const fn own_name(field: &FieldDoc) -> &'static str {
    field.name
}

fn set<T>(place: &mut T, sent: Option<T>) {
    if let Some(sent) = sent {
        *place = sent;
    }
}

/// Why a config is not taken. That the database does not answer is a fault of the config too, as far as
/// anybody can tell.
fn refused(error: Error) -> Error {
    let text = match error {
        Error::InvalidRequest(text) => text,
        // Drivers of ours say what they were at.
        Error::Upstream(text) | Error::Unavailable(text) if text.starts_with("error verifying") => text,
        Error::Upstream(text) | Error::Unavailable(text) => format!("error verifying connection: {text}"),
        other => return other,
    };
    Error::invalid(format!("error creating database object: {text}"))
}

pub(crate) fn get(cx: &Cx, name: &Name) -> Result<Reply> {
    let connection: Connection = cx.require(&name.0)?;
    let answer = Object::with_room(512)
        .json("allowed_roles", &texts(&connection.allowed_roles))
        .json("connection_details", &connection.details.shown()?);
    let answer = connection
        .automation
        .show(answer)
        .text("password_policy", &connection.password_policy)
        .text("plugin_name", &connection.plugin_name)
        .text("plugin_version", &connection.plugin_version)
        .json("root_credentials_rotate_statements", &texts(&connection.root_rotation_statements));
    Ok(Reply::text(answer.end()))
}

/// A list of texts as JSON.
pub(crate) fn texts(texts: &[String]) -> String {
    json::strings(texts.iter().map(String::as_str))
}

/// Leases of the connection's users cannot be ended until it is there again: they wait for that, and no
/// user is forgotten.
pub(crate) fn delete(cx: &Cx, name: &Name) -> Result<()> {
    let _lock = cx.acquire(&connection_lock(&name.0), LOCK_MS)?;
    automation::cancel(cx, &name.0);
    cx.delete::<Connection>(&name.0)
}

/// Has nobody go on with a session from before, and tells whether a new one can be begun.
pub(crate) fn reset(cx: &Cx, name: &Name) -> Result<Reply> {
    let _lock = cx.acquire(&connection_lock(&name.0), LOCK_MS)?;
    let mut connection = Connection::required(cx, &name.0)?;
    check(&connection)?;
    begin_anew(cx, &name.0, &mut connection)?;
    let _seat = seat::take(cx, &name.0, &connection)?;
    let driver = connection.driver();
    // A reply, unlike an error, commits: the sessions from before are of no use, whatever becomes of this one.
    match Driver::new(&driver, connection.details.expose()).verify(true) {
        Ok(_) => Ok(Reply::empty()),
        Err(Error::InvalidRequest(text) | Error::Upstream(text)) => Ok(Reply::failed(502, text)),
        Err(Error::Unavailable(text)) => Ok(Reply::failed(503, text)),
        Err(other) => Err(other),
    }
}

/// Sessions wait under the config that they were begun with: those of another one are not found any more, and end.
fn begin_anew(cx: &Cx, name: &str, connection: &mut Connection) -> Result<()> {
    connection.details = connection.details.reset_at(cx.now_ms())?;
    cx.put(name, connection)
}

fn check(connection: &Connection) -> Result<()> {
    let driver = connection.driver();
    Driver::new(&driver, connection.details.expose()).verify(false).map(|_| ()).map_err(refused)
}

pub(crate) fn reload(cx: &Cx, plugin_name: &str) -> Result<Reply> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in cx.list::<Connection>(&Page::default())?.0 {
        let Some(mut connection) = cx.get::<Connection>(&name)?.filter(|known| known.plugin_name == plugin_name) else {
            continue;
        };
        begin_anew(cx, &name, &mut connection)?;
        if check(&connection).is_ok() { found.push(name) } else { failed.push(name) }
    }
    let answer = Object::new().json("connections", &texts(&found)).number("count", found.len() as u64);
    let mut reply = Reply::text(answer.end());
    for name in &failed {
        reply = reply.warn(format!("failed to reload connection {name:?}: its driver does not take the config"));
    }
    if found.is_empty() && failed.is_empty() {
        reply = reply.warn(format!("no connections were found with plugin_name {plugin_name:?}"));
    }
    Ok(reply)
}
