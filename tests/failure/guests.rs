//! A plugin that ends badly, again and again, while others are asked of other plugins.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{self, Program};
use serde_json::json;

/// How long it goes on.
const LONG: Duration = Duration::from_secs(3);

/// Longest a request beside it may take. Why so long: the machine may be busy with other
/// tests; a request that waited for the plugin would take its two seconds of processor time.
const BESIDE_MAX: Duration = Duration::from_secs(2);

// a plugin that panics costs its own call, and not the server.
#[test]
fn requests_beside_a_plugin_that_ends_badly_all_the_time_do_not_suffer() {
    let folder = format!("-dev-plugin-dir={}", programs::guests().display());
    let node = Node::dev_with(Start::dev(Program::Bulkhead).with(&[&folder]));
    node.put("sys/mounts/almanac", &json!({"type": "almanac"}));
    let (over, ended) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for how in ["panic", "panic", "grow", "loop"] {
            let (node, over, ended) = (&node, &over, &ended);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let reply = node.get(&format!("almanac/end/{how}"));
                    assert!(reply.status >= 500 && reply.text().contains("errors"), "{how}: {}", reply.text());
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let began = Instant::now();
        let mut round = 0;
        while began.elapsed() < LONG {
            let asked = Instant::now();
            node.put("secret/data/a", &json!({"data": {"round": round}}));
            assert_eq!(node.get("secret/data/a").at("data.data.round"), json!(round));
            let took = asked.elapsed();
            if took > BESIDE_MAX {
                over.store(true, Ordering::Relaxed);
                panic!("a write and a read beside it took {took:?}");
            }
            round += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(round > 20, "{round} rounds in {LONG:?}");
    });
    let ended = ended.load(Ordering::Relaxed);
    assert!(ended > 10, "it ended badly {ended} times only");
    assert!(node.get("almanac/ticks").status == 200, "the plugin itself is there for whoever asks what it can do");
}
