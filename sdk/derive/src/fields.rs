//! `#[derive(Fields)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::Parse;
use syn::{Data, DeriveInput, Error, Field, Lifetime, LitStr, Result};

use crate::docs;

/// What `#[field(...)]` says.
#[derive(Default)]
struct Mark {
    name: Option<String>,
    kind: Option<Ident>,
    default: Option<String>,
    allowed: Vec<String>,
    required: bool,
    sensitive: bool,
    deprecated: bool,
}

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let Data::Struct(body) = &item.data else {
        return Err(Error::new_spanned(&item.ident, "fields are declared by a struct"));
    };
    let marks = body.fields.iter().map(mark).collect::<Result<Vec<_>>>()?;
    let idents: Vec<_> = body.fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let names: Vec<_> = idents.iter().zip(&marks).map(|(ident, mark)| wire_name(ident, mark)).collect();
    let constants = body.fields.iter().zip(&marks).zip(&names).map(|((field, mark), name)| constant(field, mark, name));
    let types: Vec<_> = body.fields.iter().map(|field| &field.ty).collect();
    let name = &item.ident;
    let own = item.generics.lifetimes().next().map(|parameter| parameter.lifetime.clone());
    let lifetime = own.clone().unwrap_or_else(|| Lifetime::new("'a", Span::call_site()));
    let arguments = own.map(|own| quote!(<#own>));
    Ok(quote! {
        #[automatically_derived]
        impl<#lifetime> ::bulkhead_sdk::FromRequest<#lifetime> for #name #arguments {
            const FIELDS: &'static [::bulkhead_sdk::describe::FieldDoc] = &[#(#constants),*];
            fn from_request(request: &#lifetime ::bulkhead_sdk::Request) -> ::bulkhead_sdk::Result<Self> {
                let mut found = Self { #(#idents: <#types as ::bulkhead_sdk::FieldValue>::absent()),* };
                for member in ::bulkhead_sdk::json::members(&request.data)? {
                    let (name, value) = member?;
                    match &*name {
                        #(#names => found.#idents = ::bulkhead_sdk::fields::read(#names, value)?,)*
                        _ => {}
                    }
                }
                Ok(found)
            }
        }
    })
}

fn wire_name(ident: &Ident, mark: &Mark) -> String {
    mark.name.clone().unwrap_or_else(|| ident.to_string().trim_start_matches("r#").to_owned())
}

fn mark(field: &Field) -> Result<Mark> {
    let mut mark = Mark::default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("field")) {
        attribute.parse_nested_meta(|meta| {
            let word = meta.path.require_ident()?.to_string();
            match word.as_str() {
                "required" => mark.required = true,
                "sensitive" => mark.sensitive = true,
                "deprecated" => mark.deprecated = true,
                "name" => mark.name = Some(meta.value()?.parse::<LitStr>()?.value()),
                "kind" => mark.kind = Some(kind(&meta.value()?.parse()?)),
                "default" => mark.default = Some(json(&meta.value()?.parse()?)),
                "allowed" => {
                    let inner;
                    syn::parenthesized!(inner in meta.input);
                    let values = inner.parse_terminated(syn::Lit::parse, syn::Token![,])?;
                    mark.allowed = values.iter().map(json).collect();
                }
                _ => return Err(meta.error("unknown word")),
            }
            Ok(())
        })?;
    }
    Ok(mark)
}

/// `comma-string-list` as `CommaStringList`.
fn kind(text: &LitStr) -> Ident {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    format_ident!("{}", text.value().split('-').map(capital).collect::<String>(), span = text.span())
}

/// A literal as JSON text.
fn json(literal: &syn::Lit) -> String {
    match literal {
        syn::Lit::Str(text) => format!("\"{}\"", text.value().replace('\\', "\\\\").replace('"', "\\\"")),
        syn::Lit::Int(number) => number.base10_digits().to_owned(),
        syn::Lit::Float(number) => number.base10_digits().to_owned(),
        syn::Lit::Bool(value) => value.value.to_string(),
        _ => "null".to_owned(),
    }
}

fn constant(field: &Field, mark: &Mark, name: &str) -> TokenStream {
    let description = docs::read(&field.attrs).whole();
    let ty = &field.ty;
    let kind = match &mark.kind {
        Some(kind) => quote!(::bulkhead_sdk::describe::FieldKind::#kind),
        None => quote!(<#ty as ::bulkhead_sdk::FieldValue>::KIND),
    };
    let sensitive = match mark.sensitive {
        true => quote!(true),
        false => quote!(<#ty as ::bulkhead_sdk::FieldValue>::SENSITIVE),
    };
    let default = match &mark.default {
        Some(json) => quote!(::core::option::Option::Some(#json)),
        None => quote!(::core::option::Option::None),
    };
    let (required, deprecated, allowed) = (mark.required, mark.deprecated, &mark.allowed);
    quote! {
        ::bulkhead_sdk::describe::FieldDoc {
            name: #name, kind: #kind, description: #description, required: #required, default: #default,
            allowed: &[#(#allowed),*], sensitive: #sensitive, deprecated: #deprecated,
        }
    }
}
