//! Precompiled components: they load, and nothing but what was written loads.

use std::sync::Arc;
use std::time::Instant;

use super::{call_over, data, plugin, probe, sandbox};
use crate::{PoolLimits, Sandbox, SandboxLimits};

fn refusal(container: &[u8]) -> String {
    sandbox().load_trusted(container).err().expect("the container was taken").to_string()
}

#[tokio::test]
async fn a_container_loads_in_another_sandbox_and_runs() {
    let container = sandbox().precompile(probe()).unwrap();
    let pool = PoolLimits { instances: 3, memory_bytes: 1 << 20, ..PoolLimits::default() };
    let other = Sandbox::new(SandboxLimits { pool, ..SandboxLimits::default() }).unwrap();
    let began = Instant::now();
    let loaded = other.load_trusted(&container).unwrap();
    assert!(began.elapsed().as_millis() < 100, "loading took {:?}", began.elapsed());
    assert_eq!(loaded.descriptor(), plugin().descriptor());
    assert_eq!((loaded.kind(), loaded.sha256()), (plugin().kind(), plugin().sha256()));
    assert_eq!(loaded.imports(), plugin().imports());
    assert_eq!(data(call_over(&loaded, &Arc::default(), "echo").await)["numbers"][0], 3);
}

#[test]
fn h26_a_flipped_bit_anywhere_is_noticed() {
    let container = sandbox().precompile(probe()).unwrap();
    let step = container.len() / 97;
    for at in (0..container.len()).step_by(step).chain(0..48) {
        let mut damaged = container.clone();
        damaged[at] ^= 1 << (at % 8);
        let said = refusal(&damaged);
        assert!(said.starts_with("precompiled plugin: "), "byte {at}: {said}");
    }
}

#[test]
fn h26_a_container_that_was_cut_is_noticed() {
    let container = sandbox().precompile(probe()).unwrap();
    for len in [0, 7, 8, 20, 40, 41, container.len() / 2, container.len() - 1] {
        assert!(refusal(&container[..len]).starts_with("precompiled plugin: "), "{len} bytes");
    }
    let longer = [container.as_slice(), b"x"].concat();
    assert!(refusal(&longer).starts_with("precompiled plugin: "));
}

#[test]
fn a_component_that_was_not_precompiled_is_no_container() {
    assert_eq!(refusal(probe()), "precompiled plugin: not a precompiled plugin of this version");
}
