//! A role removed without the operator's statements: what it was granted in this database is taken
//! back, grant by grant, then the role goes. What it owns is nobody else's to give away, so a role
//! that owns something stays, and the server says what it is.

use bulkhead_sdk::sql::{self, Dialect};

use crate::fault::Fault;
use crate::session::Session;
use crate::transaction::{self, BEGIN};

/// Statements sent at a time.
const BATCH: usize = 64;

/// The statement that has whoever makes a role, and whoever removes it, wait for each other.
pub(crate) fn alone_with(name: &str) -> String {
    let name = sql::literal(name, Dialect::Postgres);
    format!("SELECT pg_catalog.pg_advisory_xact_lock(1114991468, pg_catalog.hashtext({name}))")
}

/// Waits until nobody makes this role any more: one whose making is not committed is not seen yet, and
/// would be there afterwards. That may go on where the session that asked for it is long gone.
pub(crate) fn until_made(session: &mut Session, name: &str) -> Result<(), Fault> {
    session.query(BEGIN)?;
    session.query(&alone_with(name))?;
    session.query("COMMIT").map(|_| ())
}

/// Whether there is such a role.
pub(crate) fn exists(session: &mut Session, name: &str) -> Result<bool, Fault> {
    Ok(found(session, name)?.is_some())
}

/// Where the grants of a role are that there is: in the books of every server, or in one more. A standby's word is
/// not taken that there is none: it may not know yet.
fn found(session: &mut Session, name: &str) -> Result<Option<Books>, Fault> {
    let name = sql::literal(name, Dialect::Postgres);
    let rows = session.query(&format!(
        "SELECT pg_catalog.to_regclass('pg_catalog.pg_parameter_acl') FROM pg_catalog.pg_roles
  WHERE rolname = {name}::name"
    ))?;
    if let Some(row) = rows.first() {
        let has_parameters = row.first().is_some_and(Option::is_some);
        return Ok(Some(if has_parameters { Books::WithParameters } else { Books::Usual }));
    }
    let rows = session.query("SELECT pg_catalog.pg_is_in_recovery()")?;
    match rows.first().and_then(|row| row.first()).and_then(Option::as_deref) {
        Some("f") => Ok(None),
        _ => Err(Fault::protocol("the server is a standby, which may not know of the role yet")),
    }
}

/// What a server keeps grants in.
#[derive(Clone, Copy)]
enum Books {
    Usual,
    /// Since PostgreSQL 15 settings can be granted too.
    WithParameters,
}

/// Removes a role, if there is one.
///
/// # Errors
/// Something could not be taken back, after all else was; or the role owns something.
pub(crate) fn remove(session: &mut Session, name: &str) -> Result<(), Fault> {
    let Some(books) = found(session, name)? else { return Ok(()) };
    let revocations: Vec<String> =
        session.query(&grants(name, books))?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    let mut failed = None;
    for batch in revocations.chunks(BATCH) {
        if together(session, batch).is_err() {
            session.query("ROLLBACK")?;
            // One that fails must not keep the others.
            for statement in batch {
                if let Err(fault) = together(session, std::slice::from_ref(statement)) {
                    session.query("ROLLBACK")?;
                    failed = Some(fault);
                }
            }
        }
    }
    if let Some(fault) = failed {
        return Err(within(fault, "could not perform all revocation statements"));
    }
    drop_role(session, name)
}

/// Drops a role that has nothing any more. Also where somebody who knows nothing of the locks changes it at the same
/// time, or drops it first: then the server fails whoever comes second.
fn drop_role(session: &mut Session, name: &str) -> Result<(), Fault> {
    let role = sql::identifier(name, Dialect::Postgres);
    transaction::anew(session, &[], |session| {
        session.query(BEGIN)?;
        session.query(&alone_with(name))?;
        session.query(&format!("DROP ROLE IF EXISTS {role}"))?;
        session.query("COMMIT").map(|_| ())
    })
}

fn together(session: &mut Session, statements: &[String]) -> Result<(), Fault> {
    transaction::anew(session, &[], |session| {
        session.query(BEGIN)?;
        transaction::alone(session)?;
        session.query(&statements.join(";\n"))?;
        session.query("COMMIT").map(|_| ())
    })
}

fn within(fault: Fault, what: &str) -> Fault {
    match fault {
        Fault::Server { severity, code, message } => {
            Fault::Server { severity: format!("{what}: {severity}"), code, message }
        }
        other => other,
    }
}

/// The question for the statements that take back what a role was granted. The server quotes every
/// name in them itself.
fn grants(name: &str, books: Books) -> String {
    let name = sql::literal(name, Dialect::Postgres);
    let parameters = match books {
        Books::Usual => "",
        Books::WithParameters => {
            "UNION ALL SELECT paracl, pg_catalog.format('PARAMETER %I', parname) FROM pg_catalog.pg_parameter_acl"
        }
    };
    format!(
        "WITH who AS (SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname = {name}::name),
granted (acl, what) AS (
  SELECT relacl, pg_catalog.format('%s %I.%I', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
  UNION ALL SELECT attacl, pg_catalog.format('TABLE %I.%I', nspname, relname)
    FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class c ON c.oid = attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE NOT attisdropped
  UNION ALL SELECT proacl, pg_catalog.format('ROUTINE %s', oid::pg_catalog.regprocedure) FROM pg_catalog.pg_proc
  UNION ALL SELECT nspacl, pg_catalog.format('SCHEMA %I', nspname) FROM pg_catalog.pg_namespace
  UNION ALL SELECT datacl, pg_catalog.format('DATABASE %I', datname) FROM pg_catalog.pg_database
  UNION ALL SELECT lanacl, pg_catalog.format('LANGUAGE %I', lanname) FROM pg_catalog.pg_language
  UNION ALL SELECT typacl, pg_catalog.format('TYPE %s', oid::pg_catalog.regtype) FROM pg_catalog.pg_type
  UNION ALL SELECT fdwacl, pg_catalog.format('FOREIGN DATA WRAPPER %I', fdwname) FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT srvacl, pg_catalog.format('FOREIGN SERVER %I', srvname) FROM pg_catalog.pg_foreign_server
  UNION ALL SELECT spcacl, pg_catalog.format('TABLESPACE %I', spcname) FROM pg_catalog.pg_tablespace
  UNION ALL SELECT lomacl, pg_catalog.format('LARGE OBJECT %s', oid) FROM pg_catalog.pg_largeobject_metadata
  {parameters})
SELECT DISTINCT pg_catalog.format('REVOKE ALL PRIVILEGES ON %s FROM %I', what, rolname) FROM granted, who
  WHERE acl IS NOT NULL AND EXISTS (SELECT 1 FROM pg_catalog.aclexplode(acl) e WHERE e.grantee = who.oid)
UNION ALL SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL PRIVILEGES ON %s FROM %I',
    pg_catalog.pg_get_userbyid(defaclrole), CASE WHEN nspname IS NULL THEN '' ELSE pg_catalog.format(' IN SCHEMA %I', nspname) END,
    CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
      ELSE 'SCHEMAS' END, rolname)
  FROM who, pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = defaclnamespace
  WHERE EXISTS (SELECT 1 FROM pg_catalog.aclexplode(defaclacl) e WHERE e.grantee = who.oid)"
    )
}
