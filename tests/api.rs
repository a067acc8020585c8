//! The case files `api/*.yaml`, each run against Bulkhead and against the real
//! `bao`. What lives here: one test a file. What must not: cases.

mod paths;

use std::collections::BTreeSet;
use std::fs;

use bulkhead_tests::{case, programs, runner};

/// Runs a file; the report says all that is wrong, not only the first thing.
fn holds(name: &str) {
    let file = case::load(&programs::here(&format!("api/{name}.yaml"))).unwrap();
    let report = runner::run(&file);
    println!("{}: {} steps, {} listed differences", file.name, report.steps, report.exceptions.len());
    for exception in &report.exceptions {
        println!("  differs: {exception}");
    }
    let faults = report.faults;
    assert!(
        faults.is_empty(),
        "{} of {} steps of {}:\n  {}",
        faults.len(),
        report.steps,
        file.name,
        faults.join("\n  ")
    );
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*

        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

files! {
    approle auth_mounts batch_tokens capabilities cubbyhole_and_wrapping database forms identity_entities identity_groups
    identity_tokens init_unseal inline_auth key_ceremonies kv_v1 kv_v2_metadata kv_v2_versions lease_quotas login_mfa metrics mounts namespaces
    namespaces_ends namespaces_identity namespaces_r09 namespaces_r10 namespaces_r11 namespaces_r13 namespaces_sys
    namespaces_tokens nulls password_policies policies quotas request_shapes settings snapshots spellings status
    token_children token_ends token_forms token_lives token_prefixes tokens tools_and_leases user_lockout userpass
}

#[test]
fn every_case_file_is_run() {
    let files =
        fs::read_dir(programs::here("api")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = files.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    assert_eq!(there, LISTED.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn every_case_file_can_be_read_and_together_they_have_350_steps() {
    let load = |name: &&str| case::load(&programs::here(&format!("api/{name}.yaml"))).unwrap();
    let files: Vec<_> = LISTED.iter().map(load).collect();
    let steps: usize = files.iter().flat_map(|file| &file.cases).map(|case| case.steps.len()).sum();
    assert!(steps >= 350, "{steps} steps");
}
