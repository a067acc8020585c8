//! Components that have a world's imports and exports and trap in every function, made
//! from the WIT alone.

use std::path::Path;

use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, SourceMap};

/// A dummy of a world given in WIT text, over our package with its text changed by
/// `edit`.
pub(super) fn dummy(world: &str, edit: impl Fn(String) -> String) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut ours = SourceMap::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v1")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            ours.push(&path, edit(std::fs::read_to_string(&path).unwrap()));
        }
    }
    resolve.push_group(ours.parse().unwrap()).unwrap();
    let mut test = SourceMap::new();
    test.push(Path::new("test.wit"), format!("package test:test; {world}"));
    let package = resolve.push_group(test.parse().unwrap()).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    super::guests::component(&module)
}

/// Imports and exports, by interface name, of version 1.0.0.
pub(super) fn world(imports: &[&str], exports: &[&str]) -> String {
    let imports: String = imports.iter().map(|name| format!("import bulkhead:plugin/{name}@1.0.0; ")).collect();
    let exports: String = exports.iter().map(|name| format!("export bulkhead:plugin/{name}@1.0.0; ")).collect();
    format!("world test {{ {imports} {exports} }}")
}
