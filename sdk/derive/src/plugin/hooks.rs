//! Handlers of leases, jobs and the host's own calls.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, LitStr, Result, Type};

use crate::marks::KindMark;

/// Handlers by kind, and those there is one of.
#[derive(Default)]
pub(super) struct Hooks {
    renew: Vec<(LitStr, Ident)>,
    revoke: Vec<(LitStr, Ident)>,
    jobs: Vec<(LitStr, Option<u64>, Ident)>,
    rollback: Vec<(LitStr, Ident)>,
    renew_token: Option<Ident>,
    initialize: Option<Ident>,
    upgrade: Option<Ident>,
}

/// Whether an attribute of this name is ours.
pub(super) fn is_hook(word: &str) -> bool {
    matches!(word, "renew" | "revoke" | "job" | "rollback" | "renew_token" | "initialize" | "upgrade")
}

impl Hooks {
    pub(super) fn add(&mut self, attribute: &Attribute, method: &Ident) -> Result<()> {
        let method = method.clone();
        match super::word(attribute).as_str() {
            "renew_token" => self.renew_token = Some(method),
            "initialize" => self.initialize = Some(method),
            "upgrade" => self.upgrade = Some(method),
            word => {
                let mark = KindMark::read(attribute)?;
                match word {
                    "renew" => self.renew.push((mark.kind, method)),
                    "revoke" => self.revoke.push((mark.kind, method)),
                    "rollback" => self.rollback.push((mark.kind, method)),
                    _ => self.jobs.push((mark.kind, mark.every_secs, method)),
                }
            }
        }
        Ok(())
    }

    /// Every kind that is renewed or revoked, once.
    pub(super) fn lease_kinds(&self) -> Vec<&LitStr> {
        let mut kinds: Vec<&LitStr> = Vec::new();
        for (kind, _) in self.revoke.iter().chain(&self.renew) {
            if kinds.iter().all(|known| known.value() != kind.value()) {
                kinds.push(kind);
            }
        }
        kinds
    }

    pub(super) fn job_docs(&self) -> Vec<TokenStream> {
        let docs = self.jobs.iter().map(|(name, every, _)| match every {
            Some(secs) => quote!((#name, Some(#secs))),
            None => quote!((#name, None)),
        });
        docs.collect()
    }

    /// The `Plugin` methods; those without a handler keep the trait's own.
    pub(super) fn methods(&self, plugin: &Type) -> TokenStream {
        let (kinded, single) = (self.kinded(plugin), self.single(plugin));
        quote!(#kinded #single)
    }

    fn kinded(&self, plugin: &Type) -> TokenStream {
        let renew = self.renew.iter().map(|(kind, method)| quote!(#kind => <#plugin>::#method(cx, lease, increment),));
        let revoke = self.revoke.iter().map(|(kind, method)| quote!(#kind => <#plugin>::#method(cx, lease),));
        let jobs = self.jobs.iter().map(|(name, _, method)| quote!(#name => <#plugin>::#method(cx, key, payload),));
        let rollback = self.rollback.iter().map(|(kind, method)| quote!(#kind => <#plugin>::#method(cx, data),));
        let methods = [
            (!self.renew.is_empty()).then(|| quote! {
                fn renew(cx: &::bulkhead_sdk::Cx, lease: &::bulkhead_sdk::Lease, increment: Option<u64>) -> ::bulkhead_sdk::Result<::bulkhead_sdk::Renewal> {
                    match lease.kind.as_str() { #(#renew)* _ => Err(::bulkhead_sdk::Error::UnsupportedOperation) }
                }
            }),
            (!self.revoke.is_empty()).then(|| quote! {
                fn revoke(cx: &::bulkhead_sdk::Cx, lease: &::bulkhead_sdk::Lease) -> ::bulkhead_sdk::Result<()> {
                    match lease.kind.as_str() { #(#revoke)* _ => Ok(()) }
                }
            }),
            (!self.jobs.is_empty()).then(|| quote! {
                fn run_job(cx: &::bulkhead_sdk::Cx, job: &str, key: &str, payload: &[u8]) -> ::bulkhead_sdk::Result<::bulkhead_sdk::JobOutcome> {
                    match job { #(#jobs)* _ => Err(::bulkhead_sdk::Error::internal(format!("no job {job}"))) }
                }
            }),
            (!self.rollback.is_empty()).then(|| quote! {
                fn rollback(cx: &::bulkhead_sdk::Cx, kind: &str, data: &[u8]) -> ::bulkhead_sdk::Result<()> {
                    match kind { #(#rollback)* _ => Err(::bulkhead_sdk::Error::internal(format!("no intent {kind}"))) }
                }
            }),
        ];
        methods.into_iter().flatten().collect()
    }

    fn single(&self, plugin: &Type) -> TokenStream {
        let methods = [
            self.renew_token.as_ref().map(|method| quote! {
                fn renew_token(cx: &::bulkhead_sdk::Cx, issued: ::bulkhead_sdk::IssuedAuth, increment: Option<u64>) -> ::bulkhead_sdk::Result<::bulkhead_sdk::AuthGrant> {
                    <#plugin>::#method(cx, issued, increment)
                }
            }),
            self.initialize.as_ref().map(|method| quote! {
                fn initialize(cx: &::bulkhead_sdk::Cx, reason: ::bulkhead_sdk::Reason) -> ::bulkhead_sdk::Result<()> {
                    <#plugin>::#method(cx, reason)
                }
            }),
            self.upgrade.as_ref().map(|method| quote! {
                fn upgrade(cx: &::bulkhead_sdk::Cx, from: u32, cursor: Option<String>) -> ::bulkhead_sdk::Result<::bulkhead_sdk::UpgradeStep> {
                    <#plugin>::#method(cx, from, cursor)
                }
            }),
        ];
        methods.into_iter().flatten().collect()
    }
}
