//! What is refused before any of it runs, and with which words.

use super::dummies::{dummy, world};
use super::{guests, probe, sandbox};
use crate::grants::World;
use crate::{Sandbox, SandboxLimits};

const ENGINE: [&str; 3] = ["metadata", "lifecycle", "engine"];

fn refusal(component: &[u8]) -> String {
    sandbox().compile(component).err().expect("the component was taken").to_string()
}

fn as_it_is(text: String) -> String {
    text
}

#[test]
fn a_core_module_is_not_a_plugin() {
    let said = refusal(&guests::probe_module());
    assert_eq!(said, "not a plugin: it is a core module; plugins are components");
}

#[test]
fn garbage_is_not_a_plugin() {
    assert!(refusal(b"\0asm").starts_with("not a plugin: it is not WebAssembly"));
    for other in [&b"#!/bin/sh"[..], b"", b"\x7fELF\x02\x01\x01\0"] {
        assert_eq!(refusal(other), r"not a plugin: it is not WebAssembly, which begins with \0asm");
    }
    let cut = &probe()[..probe().len() / 2];
    assert!(refusal(cut).starts_with("not a plugin: it is not WebAssembly"));
}

// R-80: a component over its size is refused before it is looked at.
#[test]
fn a_component_over_the_size_limit_is_refused_unread() {
    let mut limits = SandboxLimits::default();
    limits.component.wasm_bytes = 1000;
    let said = Sandbox::new(limits).unwrap().compile(probe()).err().unwrap().to_string();
    assert_eq!(said, format!("the component is {} bytes, over the limit of 1000", probe().len()));
}

#[test]
fn interfaces_that_are_not_offered_yet_are_refused_by_name() {
    let said = refusal(&dummy(&world(&["files"], &ENGINE), as_it_is));
    assert!(said.ends_with("is part of the plugin API but not offered in this version"), "{said}");
    assert!(said.starts_with("the component imports bulkhead:plugin/"), "{said}");
}

#[test]
fn interfaces_of_others_are_refused_by_name() {
    let world =
        world(&[], &ENGINE).replace("world test {", "interface files { open: func(); } world test { import files;");
    let said = refusal(&dummy(&world, as_it_is));
    let why = "a plugin may import interfaces of bulkhead:plugin only";
    assert_eq!(said, format!("the component imports test:test/files: {why}"));
}

#[test]
fn a_component_built_for_another_version_is_told_both() {
    for (built_for, short) in [("1.4.0", "1.4"), ("2.0.0", "2.0"), ("0.1.0", "0.1")] {
        let edit = |text: String| text.replace("bulkhead:plugin@1.0.0", &format!("bulkhead:plugin@{built_for}"));
        let world = world(&["storage"], &ENGINE).replace("@1.0.0", &format!("@{built_for}"));
        let said = refusal(&dummy(&world, edit));
        assert_eq!(said, format!("built for plugin API {short}, this server offers up to 1.0"));
    }
}

#[test]
fn worlds_that_are_not_mounted_are_refused_by_name() {
    for (exports, what) in [
        (&["metadata", "database"][..], "it does not export bulkhead:plugin/driver-info"),
        (&["metadata", "sealer"][..], "it is a seal, which the server's configuration sets up"),
        (&["metadata", "policy"][..], "it is a policy check"),
        (&["metadata"][..], "it exports none of engine, authenticator, database and sealer of bulkhead:plugin"),
        (&["metadata", "engine"][..], "it does not export bulkhead:plugin/lifecycle"),
        (&["metadata", "lifecycle", "engine", "authenticator"][..], "it exports the interfaces of more than one kind"),
    ] {
        let said = refusal(&dummy(&world(&[], exports), as_it_is));
        assert!(said.starts_with(&format!("not a plugin: {what}")), "{said}");
    }
}

#[test]
fn a_description_that_traps_is_refused() {
    let said = refusal(&dummy(&world(&[], &ENGINE), as_it_is));
    assert!(said.starts_with("asking the component to describe itself"), "{said}");
    assert!(said.contains("unreachable"), "{said}");
}

#[test]
fn a_description_may_call_no_import() {
    let mut module = guests::probe_module();
    let mark = b"nosy=no;";
    let at = module.windows(mark.len()).position(|window| window == mark).expect("the probe has its mark");
    module[at..at + mark.len()].copy_from_slice(b"nosy=on;");
    let said = refusal(&guests::component(&module));
    assert!(said.starts_with("asking the component to describe itself"), "{said}");
}

#[test]
fn an_interface_of_another_shape_is_refused() {
    let edit = |text: String| text.replace("remaining-ms: u64", "remaining-ms: u32");
    let said = refusal(&dummy(&world(&["system"], &ENGINE), edit));
    assert!(said.contains("describe itself"), "{said}");
    let edit = |text: String| text.replace("no-default-policy: bool,", "");
    let exports = ["metadata", "lifecycle", "authenticator"];
    let said = refusal(&dummy(&world(&[], &exports), edit));
    assert!(said.starts_with("compiling the component: an export is not as in the WIT"), "{said}");
}

/// The lists in `grants` and the linkers are two places; this holds them together.
#[test]
fn exactly_the_offered_interfaces_are_linked() {
    let engine = crate::engine::make(&crate::PoolLimits::default()).unwrap();
    let linked = |linker: &wasmtime::component::Linker<_>, imports: &[&str]| {
        let component = dummy(&world(imports, &ENGINE), as_it_is);
        let component = wasmtime::component::Component::from_binary(&engine, &component).unwrap();
        linker.instantiate_pre(&component).is_ok()
    };
    let (mounted, seals) = (crate::v1::linker(&engine).unwrap(), crate::v1::seal_linker(&engine).unwrap());
    let whole = ["system", "storage", "digest", "cache", "effects", "identity", "database-drivers"];
    assert!(linked(&mounted, &whole));
    assert!(linked(&seals, &["system", "digest"]));
    // Of some only a part is there: a component that wants more is refused by the function's name.
    for interface in ["keys", "net", "files"] {
        assert!(!linked(&mounted, &[interface]), "{interface}");
    }
    for interface in ["storage", "cache", "effects", "identity", "files", "database-drivers"] {
        assert!(!linked(&seals, &[interface]), "{interface}");
    }
    let mut named = [&whole[..], &["types", "database-types", "keys", "net", "http"]].concat();
    named.sort_unstable();
    let mut offered = World::Engine.interfaces().to_vec();
    offered.sort_unstable();
    assert_eq!((offered, World::Auth.interfaces()), (named, World::Engine.interfaces()));
}

/// Of `net` and `keys` a seal has what `http` speaks of.
#[test]
fn a_seal_has_no_connections_and_no_keys() {
    let engine = crate::engine::make(&crate::PoolLimits::default()).unwrap();
    for interface in ["net", "keys"] {
        let component = dummy(&world(&[interface], &["metadata", "sealer"]), as_it_is);
        let component = wasmtime::component::Component::from_binary(&engine, &component).unwrap();
        assert!(crate::v1::seal_linker(&engine).unwrap().instantiate_pre(&component).is_err(), "{interface}");
    }
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let mut limits = SandboxLimits::default();
    limits.pool.memory_bytes = 1 << 30;
    let said = Sandbox::new(limits).err().unwrap().to_string();
    assert!(said.contains("at most 67108864"), "{said}");
}
