//! From the bytes of a component to something that can be instantiated. What can be
//! refused without compiling is refused first.

use aws_lc_rs::digest::{SHA256, digest};
use bulkhead_model::plugin::Descriptor;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::engine::TABLE_ELEMENTS;
use crate::error::SandboxError;
use crate::grants::World;
use crate::limits::TRAP_TEXT_BYTES_MAX;
use crate::sandbox::Runtime;
use crate::surface::Surface;
use crate::ticker::TICK_MS;
use crate::v1::driver::DriverExports;
use crate::v1::exports::{Exports, Mounted, find_export};
use crate::v1::sealer::SealExports;
use crate::{descriptor, grants, v1};

/// What is known of a component.
pub(crate) struct Facts {
    pub(crate) sha256: String,
    pub(crate) world: World,
    /// Interfaces asked for, without package and version.
    pub(crate) imports: Vec<String>,
    pub(crate) descriptor: Descriptor,
    /// The descriptor as the guest gave it, for the container.
    pub(crate) described: v1::types::Descriptor,
}

/// A component, compiled and checked.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) facts: Facts,
}

/// Compiles a component for this runtime's engine, if its world is one that is taken.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn compile(
    runtime: &Runtime,
    wasm: &[u8],
    takes: impl FnOnce(World) -> Result<(), SandboxError>,
) -> Result<Compiled, SandboxError> {
    let surface = Surface::read(wasm, &runtime.limits.component)?;
    let world = grants::world(&surface.exports)?;
    takes(world)?;
    let imports = grants::check_imports(&surface.imports, world)?;
    let component = Component::from_binary(&runtime.engine, wasm)
        .map_err(|error| SandboxError::Compile { cause: format!("{error:#}") })?;
    let described = describe(runtime, &component, world)?;
    let facts = Facts {
        sha256: hex(digest(&SHA256, wasm).as_ref()),
        world,
        imports,
        descriptor: descriptor::parse(described.clone())?,
        described,
    };
    Ok(Compiled { component, facts })
}

/// Calls `metadata.describe` in a store where every import traps, and checks the types
/// of all exports on the way.
fn describe(runtime: &Runtime, component: &Component, world: World) -> Result<v1::types::Descriptor, SandboxError> {
    let failed = |error: wasmtime::Error| SandboxError::Describe { cause: plain(&error) };
    let mut linker: Linker<StoreLimits> = Linker::new(&runtime.engine);
    linker.define_unknown_imports_as_traps(component).map_err(failed)?;
    let mut store = Store::new(&runtime.engine, store_limits(runtime.limits.pool.memory_bytes));
    store.limiter(|limits| limits);
    store.set_hostcall_fuel(runtime.limits.call.lifted_bytes);
    let _ticking = runtime.ticker.begin();
    store.set_epoch_deadline(runtime.limits.component.describe_ms.div_ceil(TICK_MS) + 1);
    let instance = linker.instantiate(&mut store, component).map_err(failed)?;
    match world {
        World::Engine => Exports::find(component, Mounted::Engine)?.check(&instance, &mut store)?,
        World::Auth => Exports::find(component, Mounted::Auth)?.check(&instance, &mut store)?,
        World::Driver => DriverExports::find(component)?.check(&instance, &mut store)?,
        World::Seal => SealExports::find(component)?.check(&instance, &mut store)?,
    }
    let describe = find_export(component, "metadata", "describe")?;
    v1::exports::describe(describe, &instance, &mut store).map_err(failed)
}

/// What an instance may allocate, whatever its component declares.
pub(crate) fn store_limits(memory_bytes: usize) -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .instances(8)
        .tables(4)
        .memories(1)
        .build()
}

/// An error's text for the operator: one line, no control characters, capped. Traps
/// name functions and causes; guests' memory does not get into them.
pub(crate) fn plain(error: &wasmtime::Error) -> String {
    if matches!(error.downcast_ref(), Some(Trap::Interrupt)) {
        return "it ran out of time".to_owned();
    }
    let mut text = String::new();
    for c in format!("{error:#}").chars() {
        if text.len() >= TRAP_TEXT_BYTES_MAX {
            break;
        }
        text.push(if c.is_control() { ' ' } else { c });
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
