//! `version-history`: which versions of the server wrote to the storage, and since when.

use serde_json::Value;

use super::{Command, Prints};
use crate::client::Call;
use crate::fault::Fault;
use crate::output::{Format, table};
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "version-history",
    about: "Print which versions of the server ran here",
    usage: "[options]",
    help: "Prints which versions of the server led this cluster, when each was first unsealed, and when it\nwas built.\n\nPrint them:\n\n    $ bulkhead version-history",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    let query = [("list".to_owned(), "true".to_owned())];
    let told = client
        .secret(&Call::new("GET", "sys/version-history").query(&query))
        .map_err(|error| Fault::request("Error reading version history", error))?;
    let told = told.ok_or_else(|| Fault::Refused("Invalid response returned from server: no data".to_owned()))?;
    if matches!(session.format, Format::Json | Format::Yaml) {
        return session.show_value(&told.to_value());
    }
    let none = Vec::new();
    let versions = told.get("keys").and_then(Value::as_array).unwrap_or(&none);
    let rows: Vec<_> = versions.iter().filter_map(Value::as_str).map(|version| row(&told, version)).collect();
    session.terminal.out(&table::with_header(&["Version", "Installation Time", "Commit Date"], &rows));
    Ok(0)
}

fn row(told: &crate::client::Secret, version: &str) -> Vec<String> {
    let about = told.get("key_info").and_then(|about| about.get(version));
    let text = |name: &str| {
        let text = about.and_then(|about| about.get(name)).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.unwrap_or("n/a").to_owned()
    };
    vec![version.to_owned(), text("timestamp_installed"), text("commit_date")]
}
