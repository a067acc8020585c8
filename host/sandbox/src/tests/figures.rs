//! What is counted about calls.

use bulkhead_model::metrics::{Sheet, Value};
use bulkhead_model::seam::metrics::Measured;

use super::{call_over, data, probe};
use crate::{Sandbox, SandboxLimits};

#[tokio::test]
async fn calls_and_what_they_were_refused_are_counted_by_plugin() {
    let mut limits = SandboxLimits::default();
    limits.call.cpu_ms = 500;
    let sandbox = Sandbox::new(limits).unwrap();
    let plugin = sandbox.compile(probe()).unwrap();
    for _ in 0..2 {
        data(call_over(&plugin, &Default::default(), "grow").await);
    }
    for path in ["recurse", "storm", "loop"] {
        assert!(call_over(&plugin, &Default::default(), path).await.is_err(), "{path}");
    }
    // Another version of it goes on where the first one was.
    let again = sandbox.compile(probe()).unwrap();
    assert!(call_over(&again, &Default::default(), "recurse").await.is_err());
    let mut sheet = Sheet::default();
    sandbox.tell(&mut sheet);
    let name = plugin.descriptor().name.clone();
    let told = |number: &str, reason: Option<&'static str>| {
        let mut labels = vec![("plugin", name.clone())];
        labels.extend(reason.map(|reason| ("reason", reason.to_owned())));
        labels.push(("type", "secret".to_owned()));
        match sheet.value(number, &labels) {
            Some(Value::Number(number)) => number as u64,
            Some(Value::Times(times)) => times.count(),
            None => panic!("no {number} of {labels:?}"),
        }
    };
    assert_eq!(told("bulkhead.plugin.call", None), 2);
    let failures = ["trap", "timeout", "budget", "busy"];
    assert_eq!(failures.map(|reason| told("bulkhead.plugin.call_failures", Some(reason))), [2, 1, 1, 0]);
    assert!(told("bulkhead.plugin.memory_refusals", None) >= 2);
}
