//! Leaves a canary wherever an instance can leave something, and looks for one.

use core::arch::wasm32::memory_size;

/// A canary is a long run of this byte: a run is found wherever it starts, by looking
/// at aligned words. Fresh memory has no run of it, and the code holds it in disguise.
const DISGUISED: u8 = 0xb7 ^ MASK;
const MASK: u8 = 0x5a;

static mut PLACE: [u8; 4096] = [0; 4096];

fn canary() -> u8 {
    core::hint::black_box(DISGUISED) ^ core::hint::black_box(MASK)
}

/// Fills statics, heap and a stretch of stack with canaries.
pub fn leave() -> String {
    let canary = canary();
    let stack = [canary; 8192];
    core::hint::black_box(&stack);
    let heap = vec![canary; 320_000];
    core::mem::forget(core::hint::black_box(heap));
    // Sound: these are its 4096 bytes, and an instance has one thread.
    unsafe { (&raw mut PLACE).cast::<u8>().write_bytes(canary, 4096) };
    core::hint::black_box(&raw const PLACE);
    "{\"left\":true}".to_owned()
}

/// Counts words of canary in all of memory, taking care not to write one.
pub fn hunt() -> String {
    let wanted = core::hint::black_box(u64::from_ne_bytes([DISGUISED; 8]));
    let mask = core::hint::black_box(u64::from_ne_bytes([MASK; 8]));
    let mut found = 0u32;
    for at in (8..memory_size(0) * 65_536).step_by(8) {
        // Sound: an aligned word within this instance's own memory.
        let word = unsafe { (at as *const u64).read_volatile() };
        found += u32::from(word ^ mask == wanted);
    }
    format!("{{\"found\":{found}}}")
}
