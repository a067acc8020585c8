//! What the process gives up before it reads anything: files that others can read,
//! core dumps, and being looked into by a debugger.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask};

use crate::error::ServerError;

/// Call once, first.
///
/// # Errors
/// [`ServerError::Process`]: the system refused, which it never should.
pub(crate) fn harden() -> Result<(), ServerError> {
    let failed = |doing| move |error: rustix::io::Errno| ServerError::Process { doing, source: io::Error::from(error) };
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(failed("forbidding core dumps"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("forbidding memory dumps"))?;
    // Connections and the store need far more files than the usual soft limit of 1,024.
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    quiet_panics();
    Ok(())
}

/// A panic's text may hold what was being handled, so only its place is printed.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        eprintln!("panic at {place}");
    }));
}
