//! `#[plugin]`: sorts the marked methods of an `impl` block into routes and hooks, and
//! writes the `Plugin` impl over them.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, Pat, Result, Type};

use crate::docs;
use crate::marks::{Block, Exists, RouteMark};

mod hooks;

/// One handler of a route.
struct Handler {
    operations: &'static [&'static str],
    mark: RouteMark,
    method: Ident,
    arguments: Vec<(String, Type)>,
    docs: docs::Docs,
}

/// Handlers that share a pattern and a condition.
struct Route {
    handlers: Vec<Handler>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let block = Block::read(arguments)?;
    let mut item: ItemImpl = syn::parse2(item)?;
    let help = docs::read(&item.attrs).whole();
    let mut routes: Vec<Route> = Vec::new();
    let mut hooks = hooks::Hooks::default();
    for member in &mut item.items {
        let ImplItem::Fn(method) = member else { continue };
        for attribute in take_marks(method) {
            match operations(&word(&attribute)) {
                Some(operations) => add(&mut routes, handler(operations, &attribute, method)?),
                None => hooks.add(&attribute, &method.sig.ident)?,
            }
        }
    }
    let plugin = &item.self_ty;
    let describe = describe(&block, &help, &routes, &hooks)?;
    let (handle, exists, hooks) = (handle(plugin, &routes), exists(&routes), hooks.methods(plugin));
    Ok(quote! {
        #item

        #[automatically_derived]
        impl ::bulkhead_sdk::Plugin for #plugin {
            #describe
            #handle
            #exists
            #hooks
        }
    })
}

fn word(attribute: &Attribute) -> String {
    attribute.path().get_ident().map(Ident::to_string).unwrap_or_default()
}

/// Takes our own attributes off a method.
fn take_marks(method: &mut ImplItemFn) -> Vec<Attribute> {
    let ours = |attribute: &Attribute| operations(&word(attribute)).is_some() || hooks::is_hook(&word(attribute));
    let (marks, others) = method.attrs.drain(..).partition(ours);
    method.attrs = others;
    marks
}

fn operations(word: &str) -> Option<&'static [&'static str]> {
    Some(match word {
        "read" => &["Read"],
        "write" => &["Create", "Update"],
        "create" => &["Create"],
        "update" | "login" => &["Update"],
        "patch" => &["Patch"],
        "delete" => &["Delete"],
        "list" => &["List"],
        "scan" => &["Scan"],
        "header" => &["Header"],
        "alias_lookahead" => &["AliasLookahead"],
        "resolve_role" => &["ResolveRole"],
        _ => return None,
    })
}

fn handler(operations: &'static [&'static str], attribute: &Attribute, method: &ImplItemFn) -> Result<Handler> {
    let mut mark = RouteMark::read(attribute)?;
    mark.unauthenticated |= word(attribute) == "login";
    let arguments = method.sig.inputs.iter().skip(1).map(argument).collect::<Result<_>>()?;
    Ok(Handler { operations, mark, method: method.sig.ident.clone(), arguments, docs: docs::read(&method.attrs) })
}

fn argument(argument: &FnArg) -> Result<(String, Type)> {
    match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pattern) => {
                Ok((pattern.ident.to_string().trim_start_matches('_').to_owned(), (*typed.ty).clone()))
            }
            other => Err(Error::new_spanned(other, "name this argument")),
        },
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "handlers take &Cx, not self")),
    }
}

fn add(routes: &mut Vec<Route>, handler: Handler) {
    let same = |route: &&mut Route| {
        let mark = &route.handlers[0].mark;
        mark.pattern == handler.mark.pattern && mark.when == handler.mark.when
    };
    match routes.iter_mut().find(same) {
        Some(route) => route.handlers.push(handler),
        None => routes.push(Route { handlers: vec![handler] }),
    }
}

/// The names between braces.
fn captures(pattern: &str) -> Vec<String> {
    let inner = pattern.split('{').skip(1).filter_map(|part| part.split('}').next());
    inner.map(|name| name.trim_end_matches("...").trim_end_matches('?').to_owned()).collect()
}

fn handle(plugin: &Type, routes: &[Route]) -> TokenStream {
    let arms = routes.iter().zip(0_u32..).flat_map(|(route, index)| route.handlers.iter().map(move |h| (index, h)));
    let arms = arms.map(|(index, handler)| {
        let operations = handler.operations.iter().map(|name| format_ident!("{name}"));
        let known = captures(&handler.mark.pattern);
        let arguments = handler.arguments.iter().map(|(name, _)| match known.contains(name) {
            true => quote!(::bulkhead_sdk::capture(request, #name)),
            false => quote!(::bulkhead_sdk::FromRequest::from_request(request)?),
        });
        let method = &handler.method;
        quote! {
            (#index, #(::bulkhead_sdk::Operation::#operations)|*) =>
                ::bulkhead_sdk::IntoReply::into_reply(<#plugin>::#method(cx, #(#arguments),*)?),
        }
    });
    quote! {
        fn handle(cx: &::bulkhead_sdk::Cx, request: &::bulkhead_sdk::Request) -> ::bulkhead_sdk::Result<::bulkhead_sdk::Reply> {
            match (request.route, request.operation) {
                #(#arms)*
                _ => Err(::bulkhead_sdk::Error::UnsupportedOperation),
            }
        }
    }
}

fn route_exists(route: &Route) -> Option<&Exists> {
    route.handlers.iter().find_map(|handler| handler.mark.exists.as_ref())
}

fn exists(routes: &[Route]) -> TokenStream {
    let arms = routes.iter().zip(0_u32..).filter_map(|(route, index)| match route_exists(route) {
        Some(Exists::Ask(function)) => Some(quote!(#index => #function(cx, request),)),
        _ => None,
    });
    quote! {
        fn exists(cx: &::bulkhead_sdk::Cx, request: &::bulkhead_sdk::Request) -> ::bulkhead_sdk::Result<bool> {
            let _ = cx;
            match request.route {
                #(#arms)*
                _ => Ok(true),
            }
        }
    }
}

fn describe(block: &Block, help: &str, routes: &[Route], hooks: &hooks::Hooks) -> Result<TokenStream> {
    let name =
        block.name.as_ref().ok_or_else(|| Error::new(proc_macro2::Span::call_site(), "#[plugin(name = \"…\")]"))?;
    let (version, data_version, oldest) = (&block.version, block.data_version, block.oldest_readable_data);
    let list = |array: &Option<syn::ExprArray>| array.as_ref().map_or_else(|| quote!(&[]), |array| quote!(&#array));
    let (seal_wrapped, local) = (list(&block.seal_wrapped), list(&block.local));
    let routes = routes.iter().map(route_doc);
    let (lease_kinds, jobs) = (hooks.lease_kinds(), hooks.job_docs());
    Ok(quote! {
        fn describe() -> ::bulkhead_sdk::bindings::mounted::bulkhead::plugin::types::Descriptor {
            use ::bulkhead_sdk::describe::{ExistenceDoc, FieldDoc, FieldKind, OperationDoc, PluginDoc, RouteDoc};
            PluginDoc {
                name: #name, version: #version, help: #help, data_version: #data_version, oldest_readable_data: #oldest,
                routes: &[#(#routes),*], seal_wrapped: #seal_wrapped, local: #local,
                lease_kinds: &[#(#lease_kinds),*], jobs: &[#(#jobs),*],
            }.descriptor()
        }
    })
}

fn route_doc(route: &Route) -> TokenStream {
    let marks = || route.handlers.iter().map(|handler| &handler.mark);
    let first = &route.handlers[0];
    let pattern = &first.mark.pattern;
    let text = |given: Option<&syn::Expr>, own: &str| given.map_or_else(|| quote!(#own), |given| quote!(#given));
    let synopsis = text(marks().find_map(|mark| mark.synopsis.as_ref()), &first.docs.summary);
    let description = text(marks().find_map(|mark| mark.help.as_ref()), &first.docs.rest);
    let when = match &first.mark.when {
        Some((name, value)) => quote!(Some((#name, #value))),
        None => quote!(None),
    };
    let existence = existence_doc(route);
    let unauthenticated = marks().any(|mark| mark.unauthenticated);
    let sudo = marks().any(|mark| mark.sudo);
    let any_fields = marks().any(|mark| mark.any_fields);
    let raw_body = marks().any(|mark| mark.raw_body);
    let headers = marks().flat_map(|mark| &mark.headers);
    let described = marks().flat_map(|mark| &mark.captures);
    let described = described.map(|(name, text)| quote!(FieldDoc::new(#name, FieldKind::Text, #text)));
    let fields = route.handlers.iter().flat_map(field_groups);
    let folded = route.handlers.iter().flat_map(folded_groups);
    let operations = route.handlers.iter().flat_map(operation_docs);
    quote! {
        RouteDoc {
            pattern: #pattern, synopsis: #synopsis, description: #description, when: #when, existence: #existence,
            unauthenticated: #unauthenticated, sudo: #sudo, any_fields: #any_fields, raw_body: #raw_body,
            headers: &[#(#headers),*], captures: const { &[#(#described),*] }, fields: &[#(#fields),*],
            folded: &[#(#folded),*],
            operations: const { &[#(#operations),*] },
        }
    }
}

fn existence_doc(route: &Route) -> TokenStream {
    let pattern = &route.handlers[0].mark.pattern;
    match route_exists(route) {
        None => quote!(ExistenceDoc::None),
        Some(Exists::Ask(_)) => quote!(ExistenceDoc::Ask),
        Some(Exists::Record(record)) => {
            // `FOLDER` is a constant of the record's impl, so the key is put together at run time of `describe`.
            let last = captures(pattern).pop().map(|name| format!("{{{name}}}")).unwrap_or_default();
            quote!(ExistenceDoc::Key(::bulkhead_sdk::key_template(<#record as ::bulkhead_sdk::Stored>::FOLDER, #last)))
        }
    }
}

fn field_groups(handler: &Handler) -> Vec<TokenStream> {
    bodies(handler).map(|ty| quote!(<#ty as ::bulkhead_sdk::FromRequest>::FIELDS)).collect()
}

/// The captures that the arguments of a handler fold. The route says so by itself: nobody has to
/// think of it twice.
fn folded_groups(handler: &Handler) -> Vec<TokenStream> {
    bodies(handler).map(|ty| quote!(<#ty as ::bulkhead_sdk::FromRequest>::FOLDED)).collect()
}

/// Types of the arguments that are taken out of the request as a whole.
fn bodies(handler: &Handler) -> impl Iterator<Item = &Type> {
    let known = captures(&handler.mark.pattern);
    handler.arguments.iter().filter(move |(name, _)| !known.contains(name)).map(|(_, ty)| ty)
}

fn operation_docs(handler: &Handler) -> Vec<TokenStream> {
    let (summary, description) = (&handler.docs.summary, &handler.docs.rest);
    let id = handler.mark.id.clone().unwrap_or_default();
    let active_only = handler.mark.active_only;
    let answer = match &handler.mark.answer {
        Some(ty) => quote!(<#ty as ::bulkhead_sdk::FromRequest>::FIELDS),
        None => quote!(&[]),
    };
    let docs = handler.operations.iter().map(|name| format_ident!("{name}")).map(|operation| {
        quote! {
            OperationDoc {
                operation: ::bulkhead_sdk::Operation::#operation, id: #id, summary: #summary,
                description: #description, active_only: #active_only, answer: #answer,
            }
        }
    });
    docs.collect()
}
