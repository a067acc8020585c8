//! Calls into a guest: which export belongs to which call, and its types. Only the
//! function that is called has its types checked again on its instance; the others
//! were checked when the component came in.

use bulkhead_model::plugin::{GuestError, JobOutcome, Reason, UpgradeStep};
use bulkhead_model::seam::plugin::{Call, Returned};
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower};
use wasmtime::{AsContextMut, Store, StoreLimits};

use super::bindings::exports::bulkhead::plugin as wit;
use super::types::{self, Error};
use super::{incoming, lowered};
use crate::answer::{self, Unsound};
use crate::error::SandboxError;
use crate::grants::{PACKAGE, interface_name};
use crate::instance::CallData;

/// Parameters and results of each export, as the WIT has them.
type RequestIn<'a> = (lowered::Request<'a>,);
type LeaseIn<'a> = (lowered::Lease<'a>,);
type RenewIn<'a> = (lowered::Lease<'a>, Option<u64>);
type RenewAuthIn<'a> = (lowered::IssuedAuth<'a>, Option<u64>);
type UpgradeIn<'a> = (u32, Option<&'a str>);
type JobIn<'a> = (&'a str, &'a str, &'a [u8]);
type RollbackIn<'a> = (&'a str, &'a [u8]);
type Out<T> = (Result<T, Error>,);

/// The worlds that are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounted {
    /// A secrets engine.
    Engine,
    /// An auth method.
    Auth,
}

/// Where a component's exports are.
pub(crate) struct Exports {
    initialize: ComponentExportIndex,
    upgrade: ComponentExportIndex,
    run_job: ComponentExportIndex,
    rollback: ComponentExportIndex,
    exists: ComponentExportIndex,
    handle: ComponentExportIndex,
    renew: ComponentExportIndex,
    /// Secrets engines only.
    revoke: Option<ComponentExportIndex>,
}

impl Exports {
    /// # Errors
    /// [`SandboxError::NotAPlugin`], naming the export that is missing.
    pub(crate) fn find(component: &Component, kind: Mounted) -> Result<Self, SandboxError> {
        let main = match kind {
            Mounted::Engine => "engine",
            Mounted::Auth => "authenticator",
        };
        let find = |interface, function| find_export(component, interface, function);
        Ok(Self {
            initialize: find("lifecycle", "initialize")?,
            upgrade: find("lifecycle", "upgrade")?,
            run_job: find("lifecycle", "run-job")?,
            rollback: find("lifecycle", "rollback")?,
            exists: find(main, "exists")?,
            handle: find(main, "handle")?,
            renew: find(main, "renew")?,
            revoke: (kind == Mounted::Engine).then(|| find(main, "revoke")).transpose()?,
        })
    }

    /// Checks the types of all exports against the WIT.
    ///
    /// # Errors
    /// [`SandboxError::Compile`], naming what differs.
    pub(crate) fn check(&self, instance: &Instance, store: &mut Store<StoreLimits>) -> Result<(), SandboxError> {
        self.check_types(instance, store).map_err(unlike_the_wit)
    }

    fn check_types(&self, instance: &Instance, mut s: &mut Store<StoreLimits>) -> wasmtime::Result<()> {
        instance.get_typed_func::<(wit::lifecycle::Reason,), Out<()>>(&mut s, self.initialize)?;
        instance.get_typed_func::<UpgradeIn<'_>, Out<wit::lifecycle::UpgradeStep>>(&mut s, self.upgrade)?;
        instance.get_typed_func::<JobIn<'_>, Out<wit::lifecycle::JobOutcome>>(&mut s, self.run_job)?;
        instance.get_typed_func::<RollbackIn<'_>, Out<()>>(&mut s, self.rollback)?;
        instance.get_typed_func::<RequestIn<'_>, Out<bool>>(&mut s, self.exists)?;
        match self.revoke {
            Some(revoke) => {
                instance.get_typed_func::<RequestIn<'_>, Out<wit::engine::Outcome>>(&mut s, self.handle)?;
                instance.get_typed_func::<RenewIn<'_>, Out<types::Renewal>>(&mut s, self.renew)?;
                instance.get_typed_func::<LeaseIn<'_>, Out<()>>(&mut s, revoke)?;
            }
            None => {
                instance.get_typed_func::<RequestIn<'_>, Out<wit::authenticator::Outcome>>(&mut s, self.handle)?;
                instance.get_typed_func::<RenewAuthIn<'_>, Out<types::AuthGrant>>(&mut s, self.renew)?;
            }
        }
        Ok(())
    }
}

/// Where a component has a function that it must export.
///
/// # Errors
/// [`SandboxError::NotAPlugin`], naming it.
pub(crate) fn find_export(
    component: &Component,
    interface: &str,
    function: &str,
) -> Result<ComponentExportIndex, SandboxError> {
    let instance = component.get_export_index(None, interface_name(interface).as_str());
    let found = instance.and_then(|instance| component.get_export_index(Some(&instance), function));
    let missing = || format!("it does not export {PACKAGE}/{interface}.{function}");
    found.ok_or_else(|| SandboxError::NotAPlugin { why: missing() })
}

/// What is said of an export of another shape.
pub(super) fn unlike_the_wit(error: wasmtime::Error) -> SandboxError {
    SandboxError::Compile { cause: format!("an export is not as in the WIT: {error:#}") }
}

/// Calls `metadata.describe`.
///
/// # Errors
/// Another shape than in the WIT, a trap, or no more time.
pub(crate) fn describe(
    describe: ComponentExportIndex,
    instance: &Instance,
    store: &mut Store<StoreLimits>,
) -> wasmtime::Result<types::Descriptor> {
    let describe = instance.get_typed_func::<(), (types::Descriptor,)>(store.as_context_mut(), describe)?;
    Ok(describe.call(store, ())?.0)
}

/// Makes one call.
///
/// # Errors
/// Outside: a trap, the end of a budget, or an answer that breaks a rule. Inside: what
/// the guest returned as its error.
pub(crate) async fn invoke(
    exports: &Exports,
    instance: &Instance,
    store: &mut Store<CallData>,
    call: &Call,
) -> wasmtime::Result<Result<Returned, GuestError>> {
    let mut guest = Guest { instance, store };
    match call {
        Call::Exists(request) => {
            guest.call::<RequestIn<'_>, _, _>(exports.exists, (request.into(),), |it| Ok(Returned::Exists(it))).await
        }
        Call::Handle(request) if exports.revoke.is_some() => {
            guest.call::<RequestIn<'_>, _, _>(exports.handle, (request.into(),), secret).await
        }
        Call::Handle(request) => guest.call::<RequestIn<'_>, _, _>(exports.handle, (request.into(),), login).await,
        Call::RenewLease { lease, increment } if exports.revoke.is_some() => {
            guest.call::<RenewIn<'_>, _, _>(exports.renew, (lease.into(), *increment), renewed).await
        }
        Call::RevokeLease(lease) if let Some(revoke) = exports.revoke => {
            guest.call::<LeaseIn<'_>, _, _>(revoke, (lease.into(),), done).await
        }
        Call::RenewAuth { auth, increment } if exports.revoke.is_none() => {
            guest.call::<RenewAuthIn<'_>, _, _>(exports.renew, (auth.into(), *increment), renewed_auth).await
        }
        Call::RenewLease { .. } | Call::RevokeLease(_) | Call::RenewAuth { .. } | Call::Driver(_) => {
            Err(wasmtime::Error::msg("plugins of this kind have no such export"))
        }
        Call::Initialize(reason) => {
            guest.call::<(wit::lifecycle::Reason,), _, _>(exports.initialize, ((*reason).into(),), done).await
        }
        Call::Upgrade { from, cursor } => {
            guest.call::<UpgradeIn<'_>, _, _>(exports.upgrade, (*from, cursor.as_deref()), upgraded).await
        }
        Call::RunJob { job, key, payload } => {
            guest.call::<JobIn<'_>, _, _>(exports.run_job, (job, key, payload.expose()), job_done).await
        }
        Call::Rollback { kind, data } => {
            guest.call::<RollbackIn<'_>, _, _>(exports.rollback, (kind, data.expose()), done).await
        }
    }
}

/// An instance, about to be called once.
struct Guest<'a> {
    instance: &'a Instance,
    store: &'a mut Store<CallData>,
}

impl Guest<'_> {
    async fn call<P, T, F>(
        &mut self,
        export: ComponentExportIndex,
        parameters: P,
        take: F,
    ) -> wasmtime::Result<Result<Returned, GuestError>>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        Out<T>: ComponentNamedList + Lift,
        F: FnOnce(T) -> Result<Returned, Unsound>,
    {
        let function = self.instance.get_typed_func::<P, Out<T>>(&mut *self.store, export)?;
        match function.call_async(&mut *self.store, parameters).await?.0 {
            Ok(value) => Ok(Ok(take(value)?)),
            Err(error) => Ok(Err(incoming::error(error))),
        }
    }
}

fn done((): ()) -> Result<Returned, Unsound> {
    Ok(Returned::Done)
}

fn secret(outcome: wit::engine::Outcome) -> Result<Returned, Unsound> {
    let lease = outcome.lease.map(incoming::lease_grant).transpose();
    Ok(Returned::Secret { response: incoming::response(outcome.response)?, lease: lease? })
}

fn login(outcome: wit::authenticator::Outcome) -> Result<Returned, Unsound> {
    let auth = outcome.auth.map(incoming::auth_grant).transpose();
    Ok(Returned::Login { response: incoming::response(outcome.response)?, auth: auth?.map(Box::new) })
}

fn renewed(renewal: types::Renewal) -> Result<Returned, Unsound> {
    Ok(Returned::Renewed(incoming::renewal(renewal)?))
}

fn renewed_auth(grant: types::AuthGrant) -> Result<Returned, Unsound> {
    Ok(Returned::RenewedAuth(Box::new(incoming::auth_grant(grant)?)))
}

fn upgraded(step: wit::lifecycle::UpgradeStep) -> Result<Returned, Unsound> {
    Ok(Returned::Upgraded(match step {
        wit::lifecycle::UpgradeStep::Done => UpgradeStep::Done,
        wit::lifecycle::UpgradeStep::More(cursor) => {
            answer::text(&cursor)?;
            UpgradeStep::More(cursor)
        }
    }))
}

fn job_done(outcome: wit::lifecycle::JobOutcome) -> Result<Returned, Unsound> {
    Ok(Returned::JobDone(match outcome {
        wit::lifecycle::JobOutcome::Done => JobOutcome::Done,
        wit::lifecycle::JobOutcome::Again((at, payload)) => JobOutcome::Again(at, answer::record(payload)?),
    }))
}

impl From<Reason> for wit::lifecycle::Reason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Mounted => Self::Mounted,
            Reason::Unsealed => Self::Unsealed,
            Reason::BecameActive => Self::BecameActive,
            Reason::Upgraded => Self::Upgraded,
            Reason::Reloaded => Self::Reloaded,
            Reason::Reconfigured => Self::Reconfigured,
        }
    }
}
