//! An allocator that ends the process when a target allocates more than it may: a size that a
//! guest, an image or a file chose was believed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How many bytes this thread may still allocate; `None` where nobody counts.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Runs `target`, which may have no more than `bytes` allocated at a time. What was allocated
/// before and is freed by it does not count.
pub fn limited<T>(bytes: usize, target: impl FnOnce() -> T) -> T {
    let before = LEFT.replace(Some(bytes));
    let result = target();
    LEFT.set(before);
    result
}

fn take(bytes: usize) {
    let Some(left) = LEFT.get() else { return };
    if std::thread::panicking() {
        // It is found wanting already.
        return;
    }
    match left.checked_sub(bytes) {
        Some(left) => LEFT.set(Some(left)),
        None => {
            // Whoever looks for the reason allocates.
            LEFT.set(None);
            eprintln!("{bytes} bytes are allocated where no more than {left} are left");
            eprintln!("{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }
}

fn give_back(bytes: usize) {
    if let Some(left) = LEFT.get() {
        LEFT.set(Some(left.saturating_add(bytes)));
    }
}

// SAFETY: all is done by `System`, with the arguments that came; what is counted besides is a
// number that belongs to the thread, which is neither allocated nor dropped.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: as the caller promises; it was `System` that allocated it.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        take(bytes);
        give_back(layout.size());
        // SAFETY: as the caller promises; it was `System` that allocated it.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}
