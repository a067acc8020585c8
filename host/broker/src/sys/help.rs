//! Path help (`?help=1`) and the OpenAPI document, both made from the declared routes.

use std::collections::BTreeSet;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::plugin::{Descriptor, Field, FieldKind, Operation, Route};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};
use serde_json::{Map, Value, json};

use super::table::{HostRoute, HostTable};
use crate::book::mounts::{Engine, Mount, Table};
use crate::fault::{Fault, wrapped};
use crate::step::authorize::Authorized;
use crate::step::route::Target;
use crate::visit::{Visit, bare};

/// The answer to `?help=1`.
pub(crate) fn answer(visit: &Visit, request: &Request, passed: &Authorized) -> Result<Reply, Fault> {
    let target = &passed.routed.target;
    let Some(mount) = target.mount() else {
        let text = format!("no handler for route {:?}. route entry not found.", request.path.as_str());
        return Err(Failure::new(FailureKind::NotFound, text).into());
    };
    let rest = request.path.as_str().strip_prefix(mount.request_path()).unwrap_or_default();
    let mut paths = Map::new();
    let text = match target {
        _ if rest.is_empty() => {
            add_mount(&mut paths, mount);
            mount_help(mount)
        }
        Target::Host { route, .. } => {
            let routes = host_routes(&mount.engine).map(|table| table.on(route.pattern)).unwrap_or_default();
            routes.iter().for_each(|route| add_host(&mut paths, mount, route));
            host_help(route.pattern, &routes, rest)
        }
        Target::Guest(guest) => {
            add_guest(&mut paths, mount, guest.route());
            guest_help(guest.route(), rest)
        }
        _ => return Err(Failure::new(FailureKind::NotFound, wrapped("unsupported path")).into()),
    };
    Ok(bare(200, &json!({ "help": text, "see_also": null, "openapi": document(visit, paths) })))
}

/// What the routes of one pattern do, and the parameters of all of them.
fn host_help(pattern: &str, routes: &[&HostRoute], rest: &str) -> String {
    let mut text = format!("Request:        {rest}\nMatching Route: {pattern}\n\n");
    for route in routes {
        text.push_str(&format!("{}\n", route.summary));
    }
    let names: BTreeSet<_> = routes.iter().filter_map(|route| route.fields).flatten().collect();
    if !names.is_empty() {
        text.push_str("\n## PARAMETERS\n");
    }
    for name in names {
        text.push_str(&format!("\n    {name}\n"));
    }
    text
}

fn guest_help(route: &Route, path: &str) -> String {
    let mut text = format!("Request:        {path}\nMatching Route: {}\n\n{}\n", route.pattern, route.synopsis);
    if !route.fields.is_empty() {
        text.push_str("\n## PARAMETERS\n");
    }
    for field in &route.fields {
        let about = if field.description.is_empty() { "<no description>" } else { &field.description };
        text.push_str(&format!("\n    {} ({})\n\n        {about}\n", field.name, kind_name(field.kind)));
    }
    if !route.description.is_empty() {
        text.push_str(&format!("\n## DESCRIPTION\n\n{}", route.description));
    }
    text
}

/// What there is below a mount.
fn mount_help(mount: &Mount) -> String {
    let (mut text, mut paths) = (String::new(), Vec::new());
    text.push_str(&format!("## DESCRIPTION\n\n{}\n\n", about(&mount.engine)));
    if let Engine::Plugin(plugin, _) = &mount.engine {
        paths.extend(guest_routes(plugin.descriptor(), mount).map(|r| (r.pattern.as_str(), r.synopsis.as_str())));
    }
    if let Some(table) = host_routes(&mount.engine) {
        paths.extend(table.all().map(|r| (r.pattern, r.summary)));
        paths.sort_by_key(|(pattern, _)| *pattern);
    }
    text.push_str("## PATHS\n\nAsk for the help of a path that matches one of these to know what it takes.\n");
    let mut last = "";
    for (pattern, summary) in paths {
        // Of several operations on a path each has a line of its own.
        if pattern != last {
            text.push_str(&format!("\n    {}{pattern}\n", mount.request_path()));
        }
        text.push_str(&format!("        {summary}\n"));
        last = pattern;
    }
    text
}

/// What a mount is for.
fn about(engine: &Engine) -> &str {
    match engine {
        Engine::System => {
            "The system backend is how Bulkhead itself is run: seal and key shares, mounts, policies, leases,\n\
             audit devices, quotas and namespaces. It is always there, and is neither moved nor disabled."
        }
        Engine::Token => {
            "The token store makes tokens and looks them up, renews and revokes them. A token's children end\n\
             with it, and so do the leases that it was given."
        }
        Engine::Cubbyhole => {
            "The cubbyhole backend keeps secrets that only the token sees which wrote them. They are gone when\n\
             the token is. Wrapped answers are handed over in one."
        }
        Engine::Identity => {
            "The identity backend knows who is behind a token, whichever auth method it came from: entities and\n\
             their aliases, groups, identity tokens, and second factors of logins."
        }
        Engine::Plugin(plugin, _) => plugin.descriptor().help.trim(),
        Engine::Loading(_) => "The plugin of this mount is being prepared.",
        Engine::Missing(_) => "The plugin of this mount is not there.",
    }
}

/// The routes of an engine of the host's own.
fn host_routes(engine: &Engine) -> Option<&'static HostTable> {
    match engine {
        Engine::System => Some(super::routes()),
        Engine::Token => Some(crate::token::routes()),
        Engine::Cubbyhole => Some(super::cubbyhole::routes()),
        Engine::Identity => Some(super::identity::routes()),
        Engine::Plugin(..) | Engine::Loading(_) | Engine::Missing(_) => None,
    }
}

/// The routes of a guest that its mount's options leave it. One for these options alone comes before one for any.
fn guest_routes<'d>(descriptor: &'d Descriptor, mount: &Mount) -> impl Iterator<Item = &'d Route> {
    let is_of = |route: &Route| {
        let wanted = route.when_option.as_ref();
        wanted.map(|(name, value)| mount.entry.options.get(name).map_or("1", String::as_str) == value)
    };
    let is_own = |route: &&Route| is_of(route) == Some(true);
    let own: Vec<&str> = descriptor.routes.iter().filter(is_own).map(|route| route.pattern.as_str()).collect();
    let leads = move |route: &&Route| is_of(route).unwrap_or_else(|| !own.contains(&route.pattern.as_str()));
    descriptor.routes.iter().filter(leads)
}

/// A field's kind, as Vault's help names it.
fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text | FieldKind::LowercaseText | FieldKind::Name => "string",
        FieldKind::Integer => "int",
        FieldKind::Boolean => "bool",
        FieldKind::Float => "float",
        FieldKind::Duration | FieldKind::SignedDuration => "duration (sec)",
        FieldKind::Time => "time",
        FieldKind::AnyMap => "map",
        FieldKind::StringMap => "keypair",
        FieldKind::AnyList | FieldKind::StringList | FieldKind::CommaStringList | FieldKind::CommaIntegerList => {
            "slice"
        }
        FieldKind::HeaderMap => "header",
        FieldKind::Any => "any",
    }
}

/// The OpenAPI document of everything the caller may reach.
pub(crate) fn openapi(visit: &Visit) -> Value {
    let mut paths = Map::new();
    let reaches = |mount: &Mount| visit.who.as_ref().is_some_and(|who| who.acl.reaches(&mount.full_path));
    for table in [Table::Secret, Table::Auth] {
        for mount in visit.config.mounts.of(&visit.namespace, table).into_iter().filter(|m| reaches(m)) {
            add_mount(&mut paths, mount);
        }
    }
    document(visit, paths)
}

fn document(visit: &Visit, paths: Map<String, Value>) -> Value {
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Bulkhead API",
            "description": "HTTP API that gives you full access to Bulkhead. All API routes are prefixed with `/v1/`.",
            "version": visit.open.parts.facts.version,
            "license": { "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "paths": paths,
        "components": { "schemas": {} },
    })
}

fn add_mount(paths: &mut Map<String, Value>, mount: &Mount) {
    if let Engine::Plugin(plugin, _) = &mount.engine {
        guest_routes(plugin.descriptor(), mount).for_each(|route| add_guest(paths, mount, route));
    }
    if let Some(table) = host_routes(&mount.engine) {
        let is_here = |route: &&HostRoute| route.each || mount.namespace.is_root();
        table.all().filter(is_here).for_each(|route| add_host(paths, mount, route));
    }
}

/// `/mount/pattern`, in the form OpenAPI writes parameters.
fn openapi_path(mount: &Mount, pattern: &str) -> String {
    format!("/{}{}", mount.request_path(), pattern.replace("...}", "}").replace("?}", "}"))
}

/// Parameters in the path itself.
fn path_parameters(pattern: &str, fields: &[Field]) -> Vec<Value> {
    let names = pattern.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|raw| {
            let name = raw.trim_end_matches("...").trim_end_matches('?');
            let about = fields.iter().find(|f| f.name == name).map_or("", |f| f.description.as_str());
            json!({
                "name": name, "description": about, "in": "path", "required": true, "schema": { "type": "string" },
            })
        })
        .collect()
}

fn entry<'p>(paths: &'p mut Map<String, Value>, path: String, about: &str, parameters: Vec<Value>) -> &'p mut Value {
    paths.entry(path).or_insert_with(|| {
        let mut item = json!({ "description": about });
        if !parameters.is_empty() {
            item["parameters"] = parameters.into();
        }
        item
    })
}

fn add_host(paths: &mut Map<String, Value>, mount: &Mount, route: &HostRoute) {
    let path = openapi_path(mount, route.pattern);
    let item = entry(paths, path, route.summary, path_parameters(route.pattern, &[]));
    if route.sudo {
        item["x-vault-sudo"] = true.into();
    }
    if route.unauthenticated {
        item["x-vault-unauthenticated"] = true.into();
    }
    for verb in route.verbs {
        let Some((method, word)) = method(*verb) else { continue };
        let id = operation_id(mount, word, route.pattern);
        let mut operation = json!({
            "operationId": id, "summary": route.summary, "tags": [tag(mount)],
            "responses": { "200": { "description": "OK" } },
        });
        if matches!(verb, Verb::Write | Verb::Patch)
            && let Some(names) = route.fields.filter(|n| !n.is_empty())
        {
            let properties: Map<String, Value> = names.iter().map(|n| ((*n).to_owned(), json!({}))).collect();
            operation["requestBody"] = body(properties, &[]);
        }
        put_operation(item, method, *verb, operation);
    }
}

fn add_guest(paths: &mut Map<String, Value>, mount: &Mount, route: &Route) {
    let path = openapi_path(mount, &route.pattern);
    let item = entry(paths, path, &route.synopsis, path_parameters(&route.pattern, &route.fields));
    if route.unauthenticated {
        item["x-vault-unauthenticated"] = true.into();
    }
    if route.sudo {
        item["x-vault-sudo"] = true.into();
    }
    for doc in route.operations.iter().filter(|d| !d.unpublished) {
        let Some(verb) = verb(doc.operation) else { continue };
        let Some((method, word)) = method(verb) else { continue };
        let mut operation = json!({
            "operationId": operation_id(mount, word, &route.pattern), "summary": doc.summary, "tags": [tag(mount)],
            "responses": { "200": { "description": "OK" } },
        });
        if matches!(verb, Verb::Write | Verb::Patch) {
            let captured = |f: &&Field| !route.pattern.contains(&format!("{{{}", f.name));
            let fields: Vec<_> = route.fields.iter().filter(captured).collect();
            let required: Vec<_> = fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
            let properties = fields.iter().map(|f| (f.name.clone(), schema(f))).collect();
            operation["requestBody"] = body(properties, &required);
        }
        put_operation(item, method, verb, operation);
    }
}

/// LIST is a GET with `list=true` in OpenAPI; beside a real GET it is one of its parameters.
fn put_operation(item: &mut Value, method: &str, verb: Verb, mut operation: Value) {
    match (verb, item.get_mut(method)) {
        (Verb::List | Verb::Scan, Some(other)) => return add_parameter(other, list_parameter(verb, false)),
        (Verb::List | Verb::Scan, None) => add_parameter(&mut operation, list_parameter(verb, true)),
        (Verb::Read, Some(lists)) => {
            for verb in [Verb::List, Verb::Scan].into_iter().filter(|verb| has_parameter(lists, list_name(*verb))) {
                add_parameter(&mut operation, list_parameter(verb, false));
            }
        }
        (Verb::Delete, _) => operation["responses"] = json!({ "204": { "description": "empty body" } }),
        _ => {}
    }
    item[method] = operation;
}

fn list_name(verb: Verb) -> &'static str {
    if verb == Verb::Scan { "scan" } else { "list" }
}

fn list_parameter(verb: Verb, required: bool) -> Value {
    let name = list_name(verb);
    if required {
        let schema = json!({ "type": "string", "enum": ["true"] });
        return json!({
            "name": name, "in": "query", "description": "Must be set to `true`", "required": true, "schema": schema,
        });
    }
    let what = if verb == Verb::Scan { "recursive list" } else { "list" };
    let about = format!("Return a {what} if `true`");
    json!({ "name": name, "in": "query", "description": about, "schema": { "type": "string" } })
}

fn add_parameter(operation: &mut Value, parameter: Value) {
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
}

fn has_parameter(operation: &Value, name: &str) -> bool {
    let parameters = operation["parameters"].as_array();
    parameters.is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == name))
}

fn body(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({ "content": { "application/json": { "schema": schema } } })
}

fn schema(field: &Field) -> Value {
    let mut schema = match field.kind {
        FieldKind::Integer => json!({ "type": "integer" }),
        FieldKind::Boolean => json!({ "type": "boolean" }),
        FieldKind::Float => json!({ "type": "number" }),
        FieldKind::Duration | FieldKind::SignedDuration => json!({ "type": "string", "format": "duration" }),
        FieldKind::Time => json!({ "type": "string", "format": "date-time" }),
        FieldKind::AnyMap | FieldKind::StringMap | FieldKind::HeaderMap => json!({ "type": "object" }),
        FieldKind::CommaIntegerList => json!({ "type": "array", "items": { "type": "integer" } }),
        FieldKind::AnyList | FieldKind::StringList | FieldKind::CommaStringList => {
            json!({ "type": "array", "items": { "type": "string" } })
        }
        FieldKind::Text | FieldKind::LowercaseText | FieldKind::Name => json!({ "type": "string" }),
        FieldKind::Any => json!({}),
    };
    schema["description"] = field.description.as_str().into();
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    schema
}

fn verb(operation: Operation) -> Option<Verb> {
    match operation {
        Operation::Create | Operation::Update => Some(Verb::Write),
        Operation::Read => Some(Verb::Read),
        Operation::Patch => Some(Verb::Patch),
        Operation::Delete => Some(Verb::Delete),
        Operation::List => Some(Verb::List),
        Operation::Scan => Some(Verb::Scan),
        Operation::Header | Operation::AliasLookahead | Operation::ResolveRole => None,
    }
}

fn method(verb: Verb) -> Option<(&'static str, &'static str)> {
    match verb {
        Verb::Read => Some(("get", "read")),
        Verb::Write => Some(("post", "write")),
        Verb::Patch => Some(("patch", "patch")),
        Verb::Delete => Some(("delete", "delete")),
        Verb::List => Some(("get", "list")),
        Verb::Scan => Some(("get", "scan")),
        Verb::Head => None,
    }
}

fn tag(mount: &Mount) -> &'static str {
    match (mount.entry.table, &mount.engine) {
        (_, Engine::System) => "system",
        (_, Engine::Identity) => "identity",
        (Table::Auth, _) => "auth",
        (Table::Secret, _) => "secrets",
    }
}

/// Unique in the document: verb, mount and pattern.
fn operation_id(mount: &Mount, word: &str, pattern: &str) -> String {
    let place = format!("{}{pattern}", mount.request_path());
    let parts = place.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty());
    format!("{word}-{}", parts.collect::<Vec<_>>().join("-").to_lowercase())
}

#[cfg(test)]
mod tests;
