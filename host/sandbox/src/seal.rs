//! A seal that is a component: the model's [`SealKey`] over a guest of the world `seal`. Each
//! question gets an instance of its own, under the limits of every other call.

mod host;

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::grants::Grants;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::GuestError;
use bulkhead_model::seam::clock::Clock;
use bulkhead_model::seam::egress::Egress;
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::plugin::{CallFailure, LogLevel, Stop};
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind, SealedSecret};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower};

use self::host::SealHost;
use crate::compile::Compiled;
use crate::error::SandboxError;
use crate::grants::World;
use crate::instance::Loaded;
use crate::limits::{SEAL_TEXT_BYTES_MAX, SEALED_BYTES_MAX, SEALED_EXTRAS_MAX};
use crate::sandbox::Runtime;
use crate::v1::incoming;
use crate::v1::sealer::{CheckIn, Out, SealExports, Status, UnwrapIn, WrapIn, Wrapped};
use crate::v1::system::legible;
use crate::way_out::{WayOut, Ways};

/// Longest name of a key, or of something that a seal is to be shown again, in bytes. Source: ours.
const NAME_BYTES_MAX: usize = 256;

/// What a seal is made of beside its component.
pub struct SealParts {
    /// What kind of seal it makes.
    pub kind: SealKind,
    /// What is told of it at start: names and addresses, nothing secret.
    pub shown: String,
    /// The config that it is handed with each question, JSON.
    pub config: Hidden<Vec<u8>>,
    /// Whom it may ask.
    pub grants: Grants,
    /// How it gets there.
    pub egress: Arc<dyn Egress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where its lines for the operator go.
    pub log: SealLog,
}

/// Takes a seal's line for the operator: how loud, the message, its fields.
pub type SealLog = fn(LogLevel, &str, &[(String, String)]);

/// A component that is a seal.
pub(crate) struct GuestSeal {
    loaded: Loaded,
    exports: SealExports,
    kind: SealKind,
    shown: String,
    config: Hidden<Vec<u8>>,
    grants: Arc<Grants>,
    egress: Arc<dyn Egress>,
    means: Arc<Means>,
}

/// What of the node a seal's call may use.
struct Means {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    log: SealLog,
}

impl GuestSeal {
    /// # Errors
    /// [`SandboxError`] if it is no seal, or cannot be linked.
    pub(crate) fn new(runtime: &Arc<Runtime>, compiled: Compiled, parts: SealParts) -> Result<Self, SandboxError> {
        let Compiled { component, facts } = compiled;
        if facts.world != World::Seal {
            return Err(SandboxError::NotAPlugin { why: "it is no seal".to_owned() });
        }
        let exports = SealExports::find(&component)?;
        let loaded = Loaded::new(runtime, &runtime.seal_linker, &component, &facts)?;
        let SealParts { kind, shown, config, grants, egress, clock, entropy, log } = parts;
        let means = Arc::new(Means { clock, entropy, log });
        Ok(Self { loaded, exports, kind, shown, config, grants: Arc::new(grants), egress, means })
    }

    async fn call<P, T>(&self, export: ComponentExportIndex, parameters: P) -> Result<T, SealError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        Out<T>: ComponentNamedList + Lift,
    {
        let host = SealHost::new(self.kind, Arc::clone(&self.means));
        let answer = self.answer(host, export, parameters).await.map_err(|failure| failed(&failure))?;
        answer.map_err(|error| refused(incoming::error(error)))
    }

    async fn answer<P, T>(
        &self,
        host: SealHost,
        export: ComponentExportIndex,
        parameters: P,
    ) -> Result<Result<T, crate::v1::types::Error>, CallFailure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        Out<T>: ComponentNamedList + Lift,
    {
        let _entered = self.loaded.enter(host.place()).await?;
        let Runtime { ways, outlets, .. } = &*self.loaded.runtime;
        let ways = Ways { egress: Arc::clone(&self.egress), ..ways.clone() };
        let way_out = WayOut::new(Arc::clone(&self.grants), &ways, outlets, (host.place(), ""));
        let mut store = self.loaded.store(Box::new(host), Some(way_out));
        let meter = Arc::clone(&store.data().meter);
        let run = pin!(async {
            let instance = self.loaded.pre.instantiate_async(&mut store).await?;
            let function = instance.get_typed_func::<P, Out<T>>(&mut store, export)?;
            wasmtime::Result::Ok(function.call_async(&mut store, parameters).await?.0)
        });
        self.loaded.bounded(&meter, run).await
    }
}

#[async_trait]
impl SealKey for GuestSeal {
    fn kind(&self) -> SealKind {
        self.kind
    }

    fn shown(&self) -> String {
        self.shown.clone()
    }

    async fn key_id(&self) -> Result<String, SealError> {
        let config: CheckIn<'_> = (self.config.expose(),);
        let status: Status = self.call(self.exports.check, config).await?;
        let message = told(&status.message);
        if !status.healthy {
            return Err(SealError::Unavailable(message));
        }
        if !message.is_empty() {
            (self.means.log)(LogLevel::Warn, &message, &[]);
        }
        name(status.key_id)
    }

    async fn wrap(&self, secret: &Hidden<Vec<u8>>, label: &[u8]) -> Result<SealedSecret, SealError> {
        let asked: WrapIn<'_> = (self.config.expose(), secret.expose(), label);
        let Wrapped { key_id, ciphertext, extra } = self.call(self.exports.wrap, asked).await?;
        rule(
            !ciphertext.is_empty() && ciphertext.len() <= SEALED_BYTES_MAX,
            "a ciphertext that is empty or over 64 KiB",
        )?;
        rule(extra.len() <= SEALED_EXTRAS_MAX, "more than 16 things to be shown again")?;
        let bytes: usize = extra.iter().map(|(name, value)| name.len() + value.len()).sum();
        rule(bytes <= SEALED_BYTES_MAX, "over 64 KiB to be shown again")?;
        Ok(SealedSecret { key_id: name(key_id)?, ciphertext, extra })
    }

    async fn unwrap(&self, sealed: &SealedSecret, label: &[u8]) -> Result<Hidden<Vec<u8>>, SealError> {
        let SealedSecret { key_id, ciphertext, extra } = sealed.clone();
        let wrapped = Wrapped { key_id, ciphertext, extra };
        let asked: UnwrapIn<'_> = (self.config.expose(), &wrapped, label);
        let secret = Hidden::new(self.call::<_, Vec<u8>>(self.exports.unwrap, asked).await?);
        rule(secret.expose().len() <= SEALED_BYTES_MAX, "a secret over 64 KiB")?;
        Ok(secret)
    }
}

/// What a seal tells the operator, in one line that does nothing to a terminal.
fn told(text: &str) -> String {
    let mut room = SEAL_TEXT_BYTES_MAX;
    legible(text, &mut room)
}

fn name(name: String) -> Result<String, SealError> {
    let sound = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    rule(sound, "a key's name that is empty, too long or not printable").map(|()| name)
}

fn rule(holds: bool, broken: &str) -> Result<(), SealError> {
    let unsound = || SealError::Refused(format!("the seal plugin's answer was refused: {broken}"));
    if holds { Ok(()) } else { Err(unsound()) }
}

/// What a seal's own error means to those who wait for it.
fn refused(error: GuestError) -> SealError {
    match error {
        GuestError::InvalidRequest(text)
        | GuestError::PermissionDenied(text)
        | GuestError::PreconditionFailed(text)
        | GuestError::Internal(text) => SealError::Refused(told(&text)),
        GuestError::NotFound => SealError::Refused("there is no such key".to_owned()),
        GuestError::UnsupportedOperation => SealError::Refused("the seal plugin does not do that".to_owned()),
        GuestError::RateLimited(text) | GuestError::Upstream(text) | GuestError::Unavailable(text) => {
            SealError::Unavailable(told(&text))
        }
    }
}

/// What a call without an answer means. One that ran out of time has mostly waited for others.
fn failed(failure: &CallFailure) -> SealError {
    match failure {
        CallFailure::Timeout => SealError::Unavailable("the seal's plugin ran out of time".to_owned()),
        CallFailure::Busy => SealError::Unavailable("no instance is free for the seal's plugin".to_owned()),
        CallFailure::Trap(text) => SealError::Refused(format!("the seal's plugin trapped: {}", told(text))),
        CallFailure::Stopped(Stop::Budget(what)) => {
            SealError::Refused(format!("the seal's plugin used more {what} than a call may"))
        }
        CallFailure::Stopped(Stop::Forward | Stop::Conflict) => SealError::Refused(format!("the seal: {failure}")),
    }
}
