//! How much one type may hold and do.

use std::collections::BTreeMap;

use syn::{Fields, ImplItem, Item, ItemImpl, ItemStruct, Type};

use crate::text::{HOSTILE, Source, sources};
use crate::{differences, holds};

/// Most fields of a struct. Why: over it, some of them are one thing.
const FIELDS_MAX: usize = 12;

/// Most methods of a type in one file, those of traits not counted. Why: over it, the type
/// is more than one noun.
const METHODS_MAX: usize = 20;

/// Most locks of a type. Why: with two, the order of taking them is a rule that nothing
/// holds.
const LOCKS_MAX: usize = 1;

/// Structs over the law, with their present size and a reason. This list only shrinks.
const WIDE_STRUCTS: &[(&str, &str, usize, &str)] = &[
    ("host/broker/src/book/leases.rs", "LeaseRecord", 16, "a record as it is stored"),
    ("host/broker/src/book/mounts.rs", "MountEntry", 16, "a record as it is stored"),
    ("host/broker/src/book/tokens.rs", "TokenRecord", 21, "a record as it is stored"),
    ("host/broker/src/node.rs", "Facts", 13, "what the node says of itself, read only"),
    ("host/broker/src/open.rs", "Open", 20, "what a node has while it is open, to be split"),
    ("host/broker/src/step/record/trail.rs", "Trail", 15, "what each step found out, for one line"),
    ("host/broker/src/sys/wrapping.rs", "StoredAuth", 13, "a record as it is stored"),
    ("host/broker/src/token/roles.rs", "RoleRecord", 16, "a record as it is stored"),
    ("host/model/src/plugin.rs", "AuthGrant", 15, "as the contract with guests has it"),
    ("host/model/src/plugin.rs", "Route", 13, "as the contract with guests has it"),
    ("host/model/src/reply.rs", "AuthInfo", 13, "as the envelope has it"),
    ("host/sandbox/src/v1/lowered.rs", "AuthGrant", 16, "as the contract with guests has it"),
    ("sdk/src/bench/world.rs", "World", 15, "what the host keeps for a mount, in memory"),
    ("sdk/derive/src/marks.rs", "RouteMark", 14, "a field for each key of the attribute"),
    ("sdk/src/describe.rs", "RouteDoc", 14, "as the contract with guests has it"),
];

/// Types with more methods than the law allows. Shrinks likewise.
const LONG_TYPES: &[(&str, &str, usize, &str)] = &[
    ("host/cli/src/session.rs", "Session", 24, "what commands print, and how they reach a server, to be split"),
    ("plugins/approle/src/lib.rs", "Approle", 31, "one a route"),
    ("plugins/database/src/lib.rs", "Database", 24, "one a route"),
    ("plugins/kv/src/lib.rs", "Kv", 26, "one a route"),
    ("sdk/src/bench/mod.rs", "Bench", 33, "what a plugin's test sets up and asks, in one place on purpose"),
];

/// Types with more than one lock; the reason says why no order is needed, or which it is.
const LOCKED_TYPES: &[(&str, &str, usize, &str)] = &[
    ("host/broker/src/book/mounts.rs", "Catalog", 2, "each held for one count, never two at once"),
    ("host/broker/src/node.rs", "Node", 3, "turning first: it is held while the others change, each by itself"),
    ("host/broker/src/open.rs", "Open", 4, "each held for one assignment or look-up, never two at once"),
    ("host/ledger/src/log/mod.rs", "Shared", 2, "the one of the thread is taken once, at the end"),
    ("host/ledger/src/machine/state.rs", "State", 2, "the newest view first, then the disk"),
];

#[test]
fn structs_have_few_fields_or_are_on_the_list_that_shrinks() {
    let wide = types_where(|found| (found.fields > FIELDS_MAX).then_some(found.fields));
    holds(&differences(&wide, &listed(WIDE_STRUCTS), "WIDE_STRUCTS", "fields"));
}

#[test]
fn types_have_few_methods_or_are_on_the_list_that_shrinks() {
    let long = types_where(|found| (found.methods > METHODS_MAX).then_some(found.methods));
    holds(&differences(&long, &listed(LONG_TYPES), "LONG_TYPES", "methods"));
}

#[test]
fn types_have_one_lock_or_are_on_the_list_that_shrinks() {
    let locked = types_where(|found| (found.locks > LOCKS_MAX).then_some(found.locks));
    holds(&differences(&locked, &listed(LOCKED_TYPES), "LOCKED_TYPES", "locks"));
}

/// What one file says of a type.
#[derive(Debug, Default, PartialEq)]
struct Found {
    fields: usize,
    methods: usize,
    locks: usize,
}

fn listed(list: &[(&str, &str, usize, &str)]) -> BTreeMap<String, usize> {
    list.iter().map(|(path, name, size, _)| (format!("{path}: {name}"), *size)).collect()
}

fn types_where(measure: impl Fn(&Found) -> Option<usize>) -> BTreeMap<String, usize> {
    let mut over = BTreeMap::new();
    let is_law = |source: &Source| !source.path.starts_with(HOSTILE) && !source.is_test();
    for source in sources().into_iter().filter(is_law) {
        for (name, found) in types(&parsed(&source)) {
            if let Some(size) = measure(&found) {
                over.insert(format!("{}: {name}", source.path), size);
            }
        }
    }
    over
}

fn parsed(source: &Source) -> Vec<Item> {
    syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path)).items
}

fn types(items: &[Item]) -> BTreeMap<String, Found> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for item in items {
        match item {
            Item::Struct(item) => count_fields(item, all.entry(item.ident.to_string()).or_default()),
            Item::Impl(item) if item.trait_.is_none() => {
                all.entry(name_of(&item.self_ty)).or_default().methods += methods(item);
            }
            Item::Mod(item) => {
                let inner = item.content.as_ref().map(|(_, items)| types(items)).unwrap_or_default();
                all.extend(inner.into_iter().map(|(name, found)| (format!("{}::{name}", item.ident), found)));
            }
            _ => {}
        }
    }
    all
}

fn count_fields(item: &ItemStruct, found: &mut Found) {
    let fields = match &item.fields {
        Fields::Named(fields) => &fields.named,
        Fields::Unnamed(fields) => &fields.unnamed,
        Fields::Unit => return,
    };
    found.fields = fields.len();
    found.locks = fields.iter().filter(|field| is_lock(&field.ty)).count();
}

fn methods(item: &ItemImpl) -> usize {
    item.items.iter().filter(|item| matches!(item, ImplItem::Fn(_))).count()
}

fn name_of(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Whether a lock is part of a type, however deep: `Arc<Mutex<…>>` is one as well.
fn is_lock(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.iter().any(|segment| {
        let inner = match &segment.arguments {
            syn::PathArguments::AngleBracketed(inner) => inner.args.iter().any(|argument| match argument {
                syn::GenericArgument::Type(ty) => is_lock(ty),
                _ => false,
            }),
            _ => false,
        };
        inner || segment.ident == "Mutex" || segment.ident == "RwLock"
    })
}

#[test]
fn fields_methods_and_locks_are_counted() {
    let text = "struct A { a: u8, b: Arc<Mutex<u8>> } struct B(RwLock<u8>, u8); \
                impl A { const X: u8 = 1; fn a() {} fn b() {} } impl<T> A { fn c() {} } impl Drop for A { fn drop() {} }";
    let found = types(&syn::parse_file(text).expect("Rust").items);
    assert_eq!(found["A"], Found { fields: 2, methods: 3, locks: 1 });
    assert_eq!(found["B"], Found { fields: 2, methods: 0, locks: 1 });
}
