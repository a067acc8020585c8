//! Takes out of a list the names that its caller may not see, where the policies say by which
//! paths that is told: what may be read is shown, and a folder that may be listed.

use bulkhead_model::acl::{Acl, Ask, Decision};
use bulkhead_model::failure::Failure;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::ApiPath;
use bulkhead_model::policy::{Capabilities, KeysFilter};
use bulkhead_model::reply::{Envelope, HiddenJson, Reply};
use bulkhead_model::request::{Request, Verb};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::book::mounts::MountTable;
use crate::book::namespaces::Namespace;
use crate::fault::Fault;
use crate::step::route;
use crate::visit::Visit;

/// Names decided about before others get the processor. Source: ours.
const NAMES_A_TURN: usize = 1_000;

/// A list, as far as it can be filtered: what has more in it would show what was taken out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    keys: Option<Vec<String>>,
    #[serde(default)]
    key_info: Option<Map<String, Value>>,
}

/// The answer without the names that are not for its caller.
///
/// # Errors
/// 404: no name is left. 500: the answer is no list.
pub(crate) async fn keys(
    visit: &Visit,
    (request, namespace): (&Request, &Namespace),
    filter: &KeysFilter,
    reply: Reply,
) -> Result<Reply, Fault> {
    let mut envelope = match reply {
        Reply::Envelope(envelope) => envelope,
        Reply::Empty | Reply::Failed(_) => return Ok(reply),
        _ => return Err(unfit(request)),
    };
    // Also of what is wrapped already nothing could be taken out.
    if holds_more(&envelope) {
        return Err(unfit(request));
    }
    let Some(data) = envelope.data.take() else { return Ok(Reply::Envelope(envelope)) };
    let who = visit.who()?;
    let listed: Listed = serde_json::from_slice(data.expose()).map_err(|_| unfit(request))?;
    let keys = match (listed.keys, &listed.key_info) {
        (Some(keys), _) => keys,
        // A list of nothing may have no names at all.
        (None, None) => {
            envelope.data = Some(data);
            return Ok(Reply::Envelope(envelope));
        }
        (None, Some(_)) => return Err(unfit(request)),
    };
    let path = request.path.to_folder();
    let mut shown = Vec::new();
    for (place, key) in keys.into_iter().enumerate() {
        if place % NAMES_A_TURN == NAMES_A_TURN - 1 {
            tokio::task::yield_now().await;
        }
        if is_for(&who.acl, &visit.config.mounts, namespace, (&filter.path_of(path.as_str(), &key), &key)) {
            shown.push(key);
        }
    }
    if shown.is_empty() {
        return Err(Failure::absent().into());
    }
    envelope.data = Some(put_together(shown, listed.key_info));
    Ok(Reply::Envelope(envelope))
}

/// Whether the caller may do with a path what shows the name.
fn is_for(acl: &Acl, mounts: &MountTable, namespace: &Namespace, (path, key): (&str, &str)) -> bool {
    let (verb, needs) = match key.ends_with('/') {
        true => (Verb::List, Capabilities::LIST),
        false => (Verb::Read, Capabilities::READ),
    };
    // What can be no path of a request is nothing that anybody may read.
    let Ok(path) = ApiPath::checked(namespace.full(path)) else { return false };
    let routed = route::find(mounts, &path, (verb, false));
    let ask = Ask {
        path: &routed.path,
        folded: &routed.folded,
        needs,
        sudo: routed.target.needs_sudo(),
        wrap_ttl_secs: None,
        parameters: &|| Some(Map::new()),
    };
    matches!(acl.decide(&ask), Decision::Allow { .. })
}

fn holds_more(envelope: &Envelope) -> bool {
    envelope.lease.is_some() || envelope.auth.is_some() || envelope.wrap.is_some()
}

fn put_together(keys: Vec<String>, info: Option<Map<String, Value>>) -> HiddenJson {
    let mut data = Map::new();
    if let Some(mut info) = info {
        let shown = keys.iter().filter_map(|key| info.remove_entry(key)).collect();
        data.insert("key_info".to_owned(), Value::Object(shown));
    }
    data.insert("keys".to_owned(), keys.into());
    Hidden::new(serde_json::to_vec(&data).expect("a list is plain data"))
}

fn unfit(request: &Request) -> Fault {
    tracing::error!(request = %request.id, "policies want an answer filtered that is no list");
    Failure::internal().into()
}
