//! How wasmtime is set up. Everything that changes generated code is fixed here, not
//! configurable: guests are compiled at build time by one process and run by another,
//! and the two engines must agree.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

use crate::error::SandboxError;
use crate::limits::PoolLimits;

/// Address space of one memory, in bytes. Source: ours. Why so small: accesses are
/// then checked against bounds explicitly, which Cranelift masks against speculation
/// (guard pages would not be), and 256 slots fit into any address space.
pub(crate) const MEMORY_RESERVATION_BYTES: usize = 64 << 20;

/// Memory kept resident and overwritten when an instance is dropped, in bytes. Source:
/// measured: at or above what the SDK's guests touch, a call makes no memory system call.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// Stack of a call that guests may use, in bytes. Source: measured: a merge patch of 100
/// levels in a guest takes between 64 and 80 KiB.
const GUEST_STACK_BYTES: usize = 80 << 10;

/// Stack of a call, in bytes; host functions run on what guests leave. Source: measured: a
/// read or write through the store goes 13 KiB deep. Why so much more: one that runs out of
/// stack ends the process.
const STACK_BYTES: usize = GUEST_STACK_BYTES + (80 << 10);

/// Instances beyond the calls' own, for components that are asked to describe themselves.
const SPARE_INSTANCES: u32 = 4;

/// Most core instances one component is made of: its module, adapters and fix-ups.
const CORE_INSTANCES_PER_COMPONENT: u32 = 8;

/// Most tables one component has: its own and that of the fix-ups.
const TABLES_PER_COMPONENT: u32 = 4;

/// Most elements of one table. Source: ours: functions whose address is taken.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// An engine for guests.
///
/// # Errors
/// [`SandboxError::Engine`] if the limits cannot be, or memory cannot be reserved.
pub(crate) fn make(limits: &PoolLimits) -> Result<Engine, SandboxError> {
    if limits.memory_bytes > MEMORY_RESERVATION_BYTES {
        let cause = format!("memory_bytes is {}, at most {MEMORY_RESERVATION_BYTES} is possible", limits.memory_bytes);
        return Err(SandboxError::Engine { cause });
    }
    let mut config = Config::new();
    code(&mut config)?;
    isolation(&mut config, limits);
    Engine::new(&config).map_err(failed)
}

/// What is compiled, and into what.
fn code(config: &mut Config) -> Result<(), SandboxError> {
    // A target given by name has no features of this machine's processor, so that a
    // guest compiled at build time runs on any machine of the architecture.
    if let Some(target) = target() {
        config.target(target).map_err(failed)?;
    }
    // Winch is not compiled in and never will be: most advisories of 2026 were its.
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    config.wasm_relaxed_simd(false).wasm_memory64(false).wasm_multi_memory(false);
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.memory_reservation(MEMORY_RESERVATION_BYTES as u64).memory_guard_size(64 << 10).memory_may_move(false);
    config.generate_address_map(true);
    Ok(())
}

/// What instances run in.
fn isolation(config: &mut Config, limits: &PoolLimits) {
    let instances = limits.instances + SPARE_INSTANCES;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_memories(instances)
        .total_stacks(instances)
        .total_tables(instances * 2)
        .total_core_instances(instances * 4)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_RESERVATION_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        // All of it is overwritten after a call. Giving a part back to the system instead
        // costs more than writing it: two calls that do so at once make the kernel
        // interrupt every processor.
        .async_stack_keep_resident(STACK_BYTES)
        .decommit_batch_size(1)
        // With swap, a scan misses dirty pages that were swapped out, and the next
        // instance reads them.
        .pagemap_scan(Enabled::No);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config.memory_init_cow(true);
    config.max_wasm_stack(GUEST_STACK_BYTES).async_stack_size(STACK_BYTES);
    // Host functions run on these stacks too, with values of secrets on them.
    config.async_stack_zeroing(true);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
}

fn target() -> Option<&'static str> {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("x86_64", "linux") => Some("x86_64-unknown-linux-gnu"),
        ("aarch64", "linux") => Some("aarch64-unknown-linux-gnu"),
        ("x86_64", "macos") => Some("x86_64-apple-darwin"),
        ("aarch64", "macos") => Some("aarch64-apple-darwin"),
        _ => None,
    }
}

fn failed(error: wasmtime::Error) -> SandboxError {
    SandboxError::Engine { cause: format!("{error:#}") }
}
