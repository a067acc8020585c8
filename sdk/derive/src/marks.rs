//! The attributes that `#[plugin]` reads off an `impl` block and its methods.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprArray, LitInt, LitStr, Path, Result, Token};

/// What stands on the block.
pub(crate) struct Block {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: TokenStream,
    pub(crate) data_version: u32,
    pub(crate) oldest_readable_data: u32,
    pub(crate) seal_wrapped: Option<ExprArray>,
    pub(crate) local: Option<ExprArray>,
}

impl Block {
    pub(crate) fn read(arguments: TokenStream) -> Result<Self> {
        let mut block = Self {
            name: None,
            version: quote!(env!("CARGO_PKG_VERSION")),
            data_version: 1,
            oldest_readable_data: 1,
            seal_wrapped: None,
            local: None,
        };
        syn::meta::parser(|meta| block.word(&meta)).parse2(arguments)?;
        Ok(block)
    }

    fn word(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match meta.path.require_ident()?.to_string().as_str() {
            "name" => self.name = Some(meta.value()?.parse()?),
            "version" => {
                let version: LitStr = meta.value()?.parse()?;
                self.version = quote!(#version);
            }
            "data_version" => self.data_version = meta.value()?.parse::<LitInt>()?.base10_parse()?,
            "oldest_readable_data" => self.oldest_readable_data = meta.value()?.parse::<LitInt>()?.base10_parse()?,
            "seal_wrapped" => self.seal_wrapped = Some(meta.value()?.parse()?),
            "local" => self.local = Some(meta.value()?.parse()?),
            _ => return Err(meta.error("unknown word")),
        }
        Ok(())
    }
}

/// How the route tells create from update.
pub(crate) enum Exists {
    /// By the key of a record.
    Record(Path),
    /// By calling this.
    Ask(Path),
}

/// What follows the pattern on a method that answers a route.
#[derive(Default)]
pub(crate) struct RouteMark {
    pub(crate) pattern: String,
    pub(crate) when: Option<(String, String)>,
    pub(crate) exists: Option<Exists>,
    pub(crate) unauthenticated: bool,
    pub(crate) sudo: bool,
    pub(crate) any_fields: bool,
    pub(crate) raw_body: bool,
    pub(crate) active_only: bool,
    pub(crate) headers: Vec<LitStr>,
    pub(crate) id: Option<String>,
    pub(crate) synopsis: Option<Expr>,
    pub(crate) help: Option<Expr>,
    pub(crate) answer: Option<Path>,
    pub(crate) captures: Vec<(String, Expr)>,
}

impl RouteMark {
    pub(crate) fn read(attribute: &Attribute) -> Result<Self> {
        let mut mark = Self::default();
        attribute.parse_args_with(|input: ParseStream<'_>| {
            mark.pattern = input.parse::<LitStr>()?.value();
            if input.parse::<Option<Token![,]>>()?.is_some() {
                let rest: TokenStream = input.parse()?;
                syn::meta::parser(|meta| mark.word(&meta)).parse2(rest)?;
            }
            Ok(())
        })?;
        Ok(mark)
    }

    fn word(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match meta.path.require_ident()?.to_string().as_str() {
            "unauthenticated" => self.unauthenticated = true,
            "sudo" => self.sudo = true,
            "any_fields" => self.any_fields = true,
            "raw_body" => self.raw_body = true,
            "active_only" => self.active_only = true,
            "id" => self.id = Some(text(meta)?),
            "synopsis" => self.synopsis = Some(meta.value()?.parse()?),
            "help" => self.help = Some(meta.value()?.parse()?),
            "answer" => self.answer = Some(meta.value()?.parse()?),
            "exists" => self.exists = Some(exists(meta.value()?.parse()?)),
            "headers" => self.headers = texts(meta)?,
            "when" => self.when = Some(pair(meta)?),
            "describe" => meta.parse_nested_meta(|capture| {
                let name = capture.path.require_ident()?.to_string();
                self.captures.push((name, capture.value()?.parse()?));
                Ok(())
            })?,
            _ => return Err(meta.error("unknown word")),
        }
        Ok(())
    }
}

/// A path that ends in a capital letter's word is a record, else a function.
fn exists(path: Path) -> Exists {
    let last = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    if last.starts_with(char::is_uppercase) { Exists::Record(path) } else { Exists::Ask(path) }
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    Ok(meta.value()?.parse::<LitStr>()?.value())
}

fn texts(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let inner;
    syn::parenthesized!(inner in meta.input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)?.into_iter().collect())
}

fn pair(meta: &ParseNestedMeta<'_>) -> Result<(String, String)> {
    match texts(meta)?.as_slice() {
        [name, value] => Ok((name.value(), value.value())),
        _ => Err(meta.error("when(\"option\", \"value\")")),
    }
}

/// What stands on a lease, job or rollback handler: a kind, and for jobs how often.
pub(crate) struct KindMark {
    pub(crate) kind: LitStr,
    pub(crate) every_secs: Option<u64>,
}

impl KindMark {
    pub(crate) fn read(attribute: &Attribute) -> Result<Self> {
        attribute.parse_args_with(|input: ParseStream<'_>| {
            let mut mark = Self { kind: input.parse()?, every_secs: None };
            if input.parse::<Option<Token![,]>>()?.is_some() {
                let rest: TokenStream = input.parse()?;
                let every = syn::meta::parser(|meta| {
                    mark.every_secs = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
                    Ok(())
                });
                every.parse2(rest)?;
            }
            Ok(mark)
        })
    }
}
