//! The one way native code comes in. Nothing else may live here.
#![allow(unsafe_code)]
// Reason: wasmtime's loader of compiled components is `unsafe`, because what it loads
// is machine code that it cannot check. Start-up would take seconds without it.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::container::NativeCode;
use crate::error::SandboxError;

/// Loads compiled code whose container has been checked.
pub(crate) fn load(engine: &Engine, code: NativeCode<'_>) -> Result<Component, SandboxError> {
    // SAFETY: the bytes must be what `Component::serialize` gave. Our caller's contract
    // says that they come out of our own binary, so whoever could change them could
    // change this function as well; the container's digest, which a `NativeCode` has
    // passed, catches damage. wasmtime itself refuses code of another version or
    // configuration. `deserialize` copies, so the bytes cannot change under it.
    let component = unsafe { Component::deserialize(engine, code.bytes()) };
    component.map_err(|_| SandboxError::Container { why: "compiled for another engine; build it again" })
}
