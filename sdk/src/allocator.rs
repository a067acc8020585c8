//! The guest's allocator: memory is handed out in a row and never taken back, except
//! from the end. An instance lives for one call, so there is nothing to gain from a
//! free list, and a call that stays within the first 128 KiB makes no system call.
#![allow(unsafe_code)] // implements GlobalAlloc; wasm32 guests have one thread

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::Cell;

/// One wasm page, in bytes.
const PAGE_BYTES: usize = 65_536;

/// Pages asked for at least when memory runs out, so that growing is rare.
const GROW_PAGES_MIN: usize = 16;

struct Bump {
    /// First free byte; 0 before the first use.
    next: Cell<usize>,
}

// SAFETY: a wasm32-unknown-unknown guest has exactly one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0) };

unsafe extern "C" {
    static __heap_base: u8;
}

impl Bump {
    /// Where the next allocation may start.
    fn next(&self) -> usize {
        match self.next.get() {
            0 => &raw const __heap_base as usize,
            next => next,
        }
    }
}

/// Makes memory reach to `end`.
#[cold]
fn grow_to(end: usize) -> bool {
    let missing = end - memory_size(0) * PAGE_BYTES;
    let pages = missing.div_ceil(PAGE_BYTES);
    memory_grow(0, pages.max(GROW_PAGES_MIN)) != usize::MAX || memory_grow(0, pages) != usize::MAX
}

// SAFETY: blocks never overlap, because `next` only moves past what was handed out and
// moves back only over the last block; alignment is by `next_multiple_of`.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next().next_multiple_of(layout.align());
        let Some(end) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        if end > memory_size(0) * PAGE_BYTES && !grow_to(end) {
            return core::ptr::null_mut();
        }
        self.next.set(end);
        start as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block as usize;
        if start + layout.size() == self.next() {
            self.next.set(start);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next() {
            let Some(end) = start.checked_add(bytes) else { return core::ptr::null_mut() };
            if end > memory_size(0) * PAGE_BYTES && !grow_to(end) {
                return core::ptr::null_mut();
            }
            self.next.set(end);
            return block;
        }
        if bytes <= layout.size() {
            return block;
        }
        // SAFETY: the caller's layout is valid, and a new block never overlaps the old.
        unsafe {
            let fresh = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !fresh.is_null() {
                core::ptr::copy_nonoverlapping(block, fresh, layout.size());
            }
            fresh
        }
    }
}
