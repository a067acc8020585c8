//! Leases are counted without being read, however many there are.

use bulkhead_model::metrics::{Sheet, Value};

use super::kit::{Kit, ROOT};
use crate::step::census;

fn told(kit: &Kit, name: &str, labels: &[(&'static str, &str)]) -> Option<u64> {
    let mut sheet = Sheet::default();
    kit.open().catalog.figures.tell(&mut sheet);
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    match sheet.value(name, &labels)? {
        Value::Number(number) => Some(number as u64),
        Value::Times(times) => Some(times.count()),
    }
}

async fn counted(kit: &Kit) {
    let open = kit.open();
    let census = census::count(&open).await.expect("they can be counted").expect("the node leads");
    open.catalog.figures.expiry.finish(open.parts.clock.now_ms(), census);
}

#[tokio::test]
async fn each_lease_of_several_slices_is_counted_once() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.leases("a/", 2_345).await;
    kit.children(ROOT, "child", 7).await;
    counted(&kit).await;
    let due = kit.count(crate::book::space::DUE) as u64;
    assert_eq!(told(&kit, "vault.expire.num_leases", &[]), Some(due));
    let of_kind = |kind: &str| -> u64 {
        let left = ["1m", "10m", "1h", "1d", "7d", "30d", "+Inf"].map(|left| [("kind", kind), ("left", left)]);
        left.iter().filter_map(|labels| told(&kit, "bulkhead.expire.leases_by_time_left", labels)).sum()
    };
    assert_eq!((of_kind("lease"), of_kind("token")), (2_345, due - 2_345));
}

#[tokio::test]
async fn a_node_that_does_not_lead_any_more_gives_the_count_up() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.leases("a/", 1_500).await;
    kit.leads(false);
    assert!(census::count(&kit.open()).await.expect("they can be read").is_none());
}
