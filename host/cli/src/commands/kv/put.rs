//! `kv put`: writes a secret.

use serde_json::{Map, Value, json};

use super::place::Place;
use super::{MOUNT, show};
use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::pairs;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv put",
    about: "Set or update data in the KV store",
    usage: "[options] KEY [DATA K=V...]",
    help: "Writes a secret whole: keys that are not given are gone in the new version. Values are\ngiven as for \"bulkhead write\".\n\nWrite it only if nobody else has since version 1:\n\n    $ bulkhead kv put -mount=secret -cas=1 foo bar=baz\n\nWrite what a file holds as JSON:\n\n    $ bulkhead kv put -mount=secret foo @data.json",
    prints: Prints::Fields,
    is_client: true,
    flags: &[Flag::int("cas", "Write only if this is the current version; 0 is \"there is none yet\"."), MOUNT],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = match session.arguments() {
        [] => return Err(Fault::Usage("Not enough arguments (expected >1, got 0)".to_owned())),
        [_] => return Err(Fault::Usage("Must supply data".to_owned())),
        [path, ..] => path,
    };
    let client = session.client()?;
    let data = Value::Object(session.data("Failed to parse K=V data", pairs::parse)?);
    let place = Place::find(session, &client, path)?;
    let full = place.full("data");
    let body = if place.is_v2 {
        let cas = session.flags.int("cas").filter(|cas| *cas > -1);
        let options: Map<String, Value> = cas.map(|cas| ("cas".to_owned(), json!(cas))).into_iter().collect();
        json!({ "data": data, "options": options })
    } else {
        data
    };
    let answer = client
        .secret(&Call::new("PUT", &full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))?;
    show::written(session, &full, answer)
}
