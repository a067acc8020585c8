//! `database-drivers`: how an engine has drivers work. Each call goes to the broker, which knows
//! the drivers and whether they are granted. Linked by hand, so that what is secret is hidden as
//! soon as it is here.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{
    self as model, DriverAction, DriverAnswer, DriverCall, GuestError, UserChange, UserRemoval,
};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance};

use super::types::Error;
use crate::answer;
use crate::grants::interface_name;
use crate::instance::{CallData, stop};

/// `credential`.
#[derive(ComponentType, Lift)]
#[component(variant)]
enum Credential {
    #[component(name = "password")]
    Password(String),
    #[component(name = "public-key")]
    PublicKey(Vec<u8>),
    #[component(name = "subject")]
    Subject(String),
}

impl From<Credential> for model::Credential {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Password(password) => Self::Password(Hidden::new(password)),
            Credential::PublicKey(pem) => Self::PublicKey(pem),
            Credential::Subject(name) => Self::Subject(name),
        }
    }
}

/// `user-spec`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Spec {
    username: Option<String>,
    #[component(name = "display-name")]
    display_name: String,
    #[component(name = "role-name")]
    role_name: String,
    #[component(name = "username-template")]
    username_template: Option<String>,
    statements: Vec<String>,
    #[component(name = "rollback-statements")]
    rollback_statements: Vec<String>,
    credential: Credential,
    #[component(name = "expires-at")]
    expires_at: Option<u64>,
}

impl From<Spec> for model::UserSpec {
    fn from(spec: Spec) -> Self {
        Self {
            username: spec.username,
            display_name: spec.display_name,
            role_name: spec.role_name,
            username_template: spec.username_template,
            statements: spec.statements,
            rollback_statements: spec.rollback_statements,
            credential: spec.credential.into(),
            expires_at: spec.expires_at,
        }
    }
}

/// `user-change`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Change {
    username: String,
    credential: Option<Credential>,
    #[component(name = "expires-at")]
    expires_at: Option<u64>,
    statements: Vec<String>,
}

/// `user-removal`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Removal {
    username: String,
    statements: Vec<String>,
}

type Store<'a> = StoreContextMut<'a, CallData>;
type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Defines that there are the types of `database-types`, where no function lives.
pub(super) fn link_types(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    linker.instance(&interface_name("database-types")).map(drop)
}

/// Defines all of it.
pub(super) fn link(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    let mut drivers = linker.instance(&interface_name("database-drivers"))?;
    drivers.func_wrap("available", |mut store: Store<'_>, ()| {
        store.data_mut().budget.host_call()?;
        Ok((store.data_mut().host.drivers(),))
    })?;
    drivers.func_wrap_async("credential-kinds", |mut store: Store<'_>, (driver,): (String,)| {
        Box::new(async move {
            let answer = store.data_mut().drive(&driver, Vec::new(), DriverAction::CredentialKinds).await?;
            Ok((answer.map(|answer| match answer {
                DriverAnswer::Kinds(kinds) => kinds,
                _ => Vec::new(),
            }),))
        })
    })?;
    drivers.func_wrap_async("verify", |mut store: Store<'_>, (driver, config, connect): (String, Vec<u8>, bool)| {
        Box::new(async move {
            let answer = store.data_mut().drive(&driver, config, DriverAction::Verify { connect }).await?;
            Ok((answer.map(|answer| match answer {
                DriverAnswer::Config(json) => store.data_mut().lent.lend(json.expose().clone()),
                _ => Default::default(),
            }),))
        })
    })?;
    users(&mut drivers)
}

fn users(drivers: &mut LinkerInstance<'_, CallData>) -> wasmtime::Result<()> {
    drivers.func_wrap_async(
        "propose-username",
        |mut store: Store<'_>, (driver, config, spec): (String, Vec<u8>, Spec)| {
            Box::new(async move {
                let action = DriverAction::ProposeUsername(spec.into());
                Ok((store.data_mut().drive(&driver, config, action).await?.map(username),))
            })
        },
    )?;
    drivers.func_wrap_async(
        "create-user",
        |mut store: Store<'_>, (driver, config, spec): (String, Vec<u8>, Spec)| {
            Box::new(async move {
                let action = DriverAction::CreateUser(spec.into());
                Ok((store.data_mut().drive(&driver, config, action).await?.map(username),))
            })
        },
    )?;
    drivers.func_wrap_async(
        "change-user",
        |mut store: Store<'_>, (driver, config, change): (String, Vec<u8>, Change)| {
            Box::new(async move {
                let Change { username, credential, expires_at, statements } = change;
                let credential = credential.map(Into::into);
                let change = UserChange { username, credential, expires_at, statements };
                Ok((store.data_mut().drive(&driver, config, DriverAction::ChangeUser(change)).await?.map(drop),))
            })
        },
    )?;
    drivers.func_wrap_async(
        "delete-user",
        |mut store: Store<'_>, (driver, config, removal): (String, Vec<u8>, Removal)| {
            Box::new(async move {
                let Removal { username, statements } = removal;
                let action = DriverAction::DeleteUser(UserRemoval { username, statements });
                Ok((store.data_mut().drive(&driver, config, action).await?.map(drop),))
            })
        },
    )
}

fn username(answer: DriverAnswer) -> String {
    match answer {
        DriverAnswer::Username(name) => name,
        _ => String::new(),
    }
}

impl CallData {
    async fn drive(&mut self, driver: &str, config: Vec<u8>, action: DriverAction) -> Answer<DriverAnswer> {
        self.budget.host_call()?;
        self.budget.driver_call()?;
        let config = match answer::record(config) {
            Ok(config) => config,
            Err(unsound) => return Ok(Err(Error::InvalidRequest(unsound.to_string()))),
        };
        if action.touches_outside() {
            self.host.touch_outside().map_err(stop)?;
        }
        let driven = self.host.drive(driver, DriverCall { config, action }).await;
        Ok(driven.map_err(Error::from))
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::InvalidRequest(text) => Self::InvalidRequest(text),
            GuestError::PermissionDenied(text) => Self::PermissionDenied(text),
            GuestError::NotFound => Self::NotFound,
            GuestError::UnsupportedOperation => Self::UnsupportedOperation,
            GuestError::PreconditionFailed(text) => Self::PreconditionFailed(text),
            GuestError::RateLimited(text) => Self::RateLimited(text),
            GuestError::Upstream(text) => Self::Upstream(text),
            GuestError::Unavailable(text) => Self::Unavailable(text),
            GuestError::Internal(text) => Self::Internal(text),
        }
    }
}
