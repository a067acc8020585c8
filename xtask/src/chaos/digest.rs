//! Whether all nodes hold the same records.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::shell::{Done, Failed};

/// What each node says its records are, once all stand at one entry: the entry, and a digest
/// for each node.
///
/// # Errors
/// They do not come to one entry.
pub(super) fn of_all(cluster: &mut Cluster) -> Done<(u64, Vec<String>)> {
    let mut found = (0, Vec::new());
    cluster.until("all nodes stand at one entry", |cluster| {
        let told = (0..cluster.nodes.len()).map(|at| of_one(cluster, at));
        let Ok(told) = told.collect::<Done<Vec<_>>>() else { return false };
        let index = told[0].0;
        let alike = told.iter().all(|(other, _)| *other == index);
        found = (index, told.into_iter().map(|(_, digest)| digest).collect());
        alike
    })?;
    Ok(found)
}

fn of_one(cluster: &Cluster, at: usize) -> Done<(u64, String)> {
    let told = cluster.ask(at, "GET", "sys/storage/raft/digest", &Value::Null)?;
    let index = told.pointer("/data/applied_index").and_then(Value::as_u64).unwrap_or_default();
    let digest = told.pointer("/data/digest").and_then(Value::as_str);
    digest.map(|digest| (index, digest.to_owned())).ok_or_else(|| Failed::new("a node told no digest"))
}
