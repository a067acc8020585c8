//! Names and versions of interfaces.

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn said(result: Result<impl std::fmt::Debug, SandboxError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn asking_for_types_asks_for_nothing() {
    let imports = names(&["bulkhead:plugin/types@1.0.0", "bulkhead:plugin/storage@1.0.0"]);
    assert_eq!(check_imports(&imports, World::Engine).unwrap(), ["storage"]);
}

#[test]
fn a_later_patch_is_served_and_a_later_minor_is_not() {
    assert!(check_imports(&names(&["bulkhead:plugin/storage@1.0.9"]), World::Engine).is_ok());
    let told = said(check_imports(&names(&["bulkhead:plugin/storage@1.4.0"]), World::Engine));
    assert_eq!(told, "built for plugin API 1.4, this server offers up to 1.0");
}

#[test]
fn a_version_that_cannot_be_read_is_repeated_as_it_stands() {
    for (version, shown) in [("@1.0", "1.0"), ("@1.0.0-rc1", "1.0.0-rc1"), ("", "(no version)"), ("@x", "x")] {
        let told = said(check_imports(&[format!("bulkhead:plugin/storage{version}")], World::Engine));
        assert_eq!(told, format!("built for plugin API {shown}, this server offers up to 1.0"));
    }
}

#[test]
fn an_interface_nobody_knows_is_refused_by_name() {
    let told = said(check_imports(&names(&["bulkhead:plugin/secrets@1.0.0"]), World::Engine));
    assert!(told.starts_with("the component imports bulkhead:plugin/secrets@1.0.0: "), "{told}");
    let told = said(check_imports(&names(&["wasi:cli/environment@0.2.0"]), World::Engine));
    assert!(told.starts_with("the component imports wasi:cli/environment@0.2.0: "), "{told}");
}

#[test]
fn each_kind_of_plugin_has_its_interfaces() {
    let (http, storage) = (names(&["bulkhead:plugin/http@1.0.0"]), names(&["bulkhead:plugin/storage@1.0.0"]));
    assert_eq!(check_imports(&http, World::Seal).unwrap(), ["http"]);
    for world in [World::Engine, World::Auth, World::Driver] {
        assert_eq!(check_imports(&http, world).unwrap(), ["http"]);
    }
    for world in [World::Seal, World::Driver] {
        assert!(said(check_imports(&storage, world)).ends_with("no such interface for this kind of plugin"));
    }
    let drivers = names(&["bulkhead:plugin/database-drivers@1.0.0"]);
    assert!(said(check_imports(&drivers, World::Driver)).ends_with("no such interface for this kind of plugin"));
    assert!(said(check_imports(&names(&["bulkhead:plugin/files@1.0.0"]), World::Auth)).ends_with("in this version"));
}

#[test]
fn the_world_is_told_by_the_exports() {
    let common = ["bulkhead:plugin/metadata@1.0.0", "bulkhead:plugin/lifecycle@1.0.0"];
    let engine = names(&[common[0], common[1], "bulkhead:plugin/engine@1.0.0"]);
    assert_eq!(world(&engine).unwrap(), World::Engine);
    let auth = names(&[common[0], common[1], "bulkhead:plugin/authenticator@1.0.0", "other:thing/x"]);
    assert_eq!(world(&auth).unwrap(), World::Auth);
    let seal = names(&[common[0], "bulkhead:plugin/sealer@1.0.0"]);
    assert_eq!(world(&seal).unwrap(), World::Seal);
}

/// A released WIT folder is for one version; this one is `wit/v1`.
#[test]
fn the_offered_version_is_that_of_the_wit() {
    let wit = include_str!("../../../../wit/v1/types.wit");
    let package = format!("package {PACKAGE}@{}.{}.{};", OFFERED.major, OFFERED.minor, OFFERED.patch);
    assert!(wit.contains(&package), "types.wit does not say {package}");
}
