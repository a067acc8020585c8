//! `#[derive(Stored)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, LitStr, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let mark = item.attrs.iter().find(|attribute| attribute.path().is_ident("stored"));
    let mark =
        mark.ok_or_else(|| Error::new_spanned(&item.ident, "say where it is stored: #[stored(\"role/{name}\")]"))?;
    let template: LitStr = mark.parse_args()?;
    let folder = folder(&template)?;
    let (name, (generics, arguments, bounds)) = (&item.ident, item.generics.split_for_impl());
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::bulkhead_sdk::Stored for #name #arguments #bounds {
            const FOLDER: &'static str = #folder;
            fn encode(&self) -> ::bulkhead_sdk::Result<::std::vec::Vec<u8>> {
                ::bulkhead_sdk::encode_json(self)
            }
            fn decode(bytes: &[u8]) -> ::bulkhead_sdk::Result<Self> {
                ::bulkhead_sdk::decode_json(bytes)
            }
        }
    })
}

/// The template's fixed part; a name may only stand at its end.
fn folder(template: &LitStr) -> Result<String> {
    let text = template.value();
    match text.split_once('{') {
        None => Ok(text),
        Some((folder, name)) if name.ends_with('}') && !name.contains('/') => Ok(folder.to_owned()),
        Some(_) => Err(Error::new(template.span(), "a storage key has one {name}, at its end")),
    }
}
