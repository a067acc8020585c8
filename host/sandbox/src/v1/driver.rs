//! The exports of a driver, and what goes through them, borrowed from the model.

use bulkhead_model::plugin::{self as model, DriverAction, DriverAnswer, DriverCall, GuestError};
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, ComponentType, Instance, Lift, Lower};
use wasmtime::{Store, StoreLimits};

use super::exports::{find_export, unlike_the_wit};
use super::incoming;
use super::types::Error;
use crate::answer;
use crate::error::SandboxError;
use crate::instance::CallData;

/// `credential`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Credential<'a> {
    #[component(name = "password")]
    Password(&'a str),
    #[component(name = "public-key")]
    PublicKey(&'a [u8]),
    #[component(name = "subject")]
    Subject(&'a str),
}

impl<'a> From<&'a model::Credential> for Credential<'a> {
    fn from(credential: &'a model::Credential) -> Self {
        match credential {
            model::Credential::Password(password) => Self::Password(password.expose()),
            model::Credential::PublicKey(pem) => Self::PublicKey(pem),
            model::Credential::Subject(name) => Self::Subject(name),
        }
    }
}

/// `user-spec`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Spec<'a> {
    username: Option<&'a str>,
    #[component(name = "display-name")]
    display_name: &'a str,
    #[component(name = "role-name")]
    role_name: &'a str,
    #[component(name = "username-template")]
    username_template: Option<&'a str>,
    statements: &'a [String],
    #[component(name = "rollback-statements")]
    rollback_statements: &'a [String],
    credential: Credential<'a>,
    #[component(name = "expires-at")]
    expires_at: Option<u64>,
}

impl<'a> From<&'a model::UserSpec> for Spec<'a> {
    fn from(spec: &'a model::UserSpec) -> Self {
        Self {
            username: spec.username.as_deref(),
            display_name: &spec.display_name,
            role_name: &spec.role_name,
            username_template: spec.username_template.as_deref(),
            statements: &spec.statements,
            rollback_statements: &spec.rollback_statements,
            credential: (&spec.credential).into(),
            expires_at: spec.expires_at,
        }
    }
}

/// `user-change`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Change<'a> {
    username: &'a str,
    credential: Option<Credential<'a>>,
    #[component(name = "expires-at")]
    expires_at: Option<u64>,
    statements: &'a [String],
}

/// `user-removal`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Removal<'a> {
    username: &'a str,
    statements: &'a [String],
}

type VerifyIn<'a> = (&'a [u8], bool);
type SpecIn<'a> = (&'a [u8], Spec<'a>);
type ChangeIn<'a> = (&'a [u8], Change<'a>);
type RemovalIn<'a> = (&'a [u8], Removal<'a>);
type Out<T> = (Result<T, Error>,);

/// Where a driver's exports are.
#[derive(Clone, Copy)]
pub(crate) struct DriverExports {
    credential_kinds: ComponentExportIndex,
    verify: ComponentExportIndex,
    propose_username: ComponentExportIndex,
    create_user: ComponentExportIndex,
    change_user: ComponentExportIndex,
    delete_user: ComponentExportIndex,
}

impl DriverExports {
    /// # Errors
    /// [`SandboxError::NotAPlugin`], naming the export that is missing.
    pub(crate) fn find(component: &Component) -> Result<Self, SandboxError> {
        let find = |function| find_export(component, "database", function);
        Ok(Self {
            credential_kinds: find_export(component, "driver-info", "credential-kinds")?,
            verify: find("verify")?,
            propose_username: find("propose-username")?,
            create_user: find("create-user")?,
            change_user: find("change-user")?,
            delete_user: find("delete-user")?,
        })
    }

    /// Checks the types of all exports against the WIT.
    ///
    /// # Errors
    /// [`SandboxError::Compile`], naming what differs.
    pub(crate) fn check(self, instance: &Instance, store: &mut Store<StoreLimits>) -> Result<(), SandboxError> {
        self.check_types(instance, store).map_err(unlike_the_wit)
    }

    fn check_types(self, instance: &Instance, mut s: &mut Store<StoreLimits>) -> wasmtime::Result<()> {
        instance.get_typed_func::<(), (Vec<String>,)>(&mut s, self.credential_kinds)?;
        instance.get_typed_func::<VerifyIn<'_>, Out<Vec<u8>>>(&mut s, self.verify)?;
        instance.get_typed_func::<SpecIn<'_>, Out<String>>(&mut s, self.propose_username)?;
        instance.get_typed_func::<SpecIn<'_>, Out<String>>(&mut s, self.create_user)?;
        instance.get_typed_func::<ChangeIn<'_>, Out<()>>(&mut s, self.change_user)?;
        instance.get_typed_func::<RemovalIn<'_>, Out<()>>(&mut s, self.delete_user)?;
        Ok(())
    }
}

/// Makes one call.
///
/// # Errors
/// Outside: a trap, the end of a budget, or an answer that breaks a rule. Inside: what the driver
/// returned as its error.
pub(crate) async fn invoke(
    exports: DriverExports,
    instance: &Instance,
    store: &mut Store<CallData>,
    call: &DriverCall,
) -> wasmtime::Result<Result<DriverAnswer, GuestError>> {
    let config = call.config.expose().as_slice();
    let mut guest = Guest { instance, store };
    match &call.action {
        DriverAction::CredentialKinds => {
            let kinds = instance.get_typed_func::<(), (Vec<String>,)>(&mut *guest.store, exports.credential_kinds)?;
            let (kinds,) = kinds.call_async(&mut *guest.store, ()).await?;
            answer::texts(&kinds)?;
            Ok(Ok(DriverAnswer::Kinds(kinds)))
        }
        DriverAction::Verify { connect } => {
            let verified = guest.call::<VerifyIn<'_>, Vec<u8>>(exports.verify, (config, *connect)).await?;
            verified
                .map(|json| Ok(DriverAnswer::Config(answer::record(json)?)))
                .map_or_else(|e| Ok(Err(e)), |it| it.map(Ok))
        }
        DriverAction::ProposeUsername(spec) => {
            let name = guest.call::<SpecIn<'_>, String>(exports.propose_username, (config, spec.into())).await?;
            username(name)
        }
        DriverAction::CreateUser(spec) => {
            let name = guest.call::<SpecIn<'_>, String>(exports.create_user, (config, spec.into())).await?;
            username(name)
        }
        DriverAction::ChangeUser(change) => {
            let change = Change {
                username: &change.username,
                credential: change.credential.as_ref().map(Into::into),
                expires_at: change.expires_at,
                statements: &change.statements,
            };
            let done = guest.call::<ChangeIn<'_>, ()>(exports.change_user, (config, change)).await?;
            Ok(done.map(|()| DriverAnswer::Done))
        }
        DriverAction::DeleteUser(removal) => {
            let removal = Removal { username: &removal.username, statements: &removal.statements };
            let done = guest.call::<RemovalIn<'_>, ()>(exports.delete_user, (config, removal)).await?;
            Ok(done.map(|()| DriverAnswer::Done))
        }
    }
}

fn username(name: Result<String, GuestError>) -> wasmtime::Result<Result<DriverAnswer, GuestError>> {
    match name {
        Ok(name) => {
            answer::text(&name)?;
            Ok(Ok(DriverAnswer::Username(name)))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// An instance, about to be called once.
struct Guest<'a> {
    instance: &'a Instance,
    store: &'a mut Store<CallData>,
}

impl Guest<'_> {
    async fn call<P, T>(
        &mut self,
        export: ComponentExportIndex,
        parameters: P,
    ) -> wasmtime::Result<Result<T, GuestError>>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        Out<T>: ComponentNamedList + Lift,
    {
        let function = self.instance.get_typed_func::<P, Out<T>>(&mut *self.store, export)?;
        let (answer,) = function.call_async(&mut *self.store, parameters).await?;
        Ok(answer.map_err(incoming::error))
    }
}
