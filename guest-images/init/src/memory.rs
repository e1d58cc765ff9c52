//! `memcpy`, `memmove` and `memset`, in place of the C library's.
//!
//! Those use AVX wherever CPUID tells of it. But on a host that emulates ring 0 the guest's
//! kernel can't keep AVX registers for a process while another one runs (`kernel/README.md`), and
//! this process runs beside the command: what it does to them, it does to the command's. These
//! use no vector register at all. Nothing else of the C library's that does is called once the
//! command runs.

use std::arch::asm;
use std::ffi::{c_int, c_void};

/// As in C.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes, and they don't overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    // SAFETY: copies what the caller says can be copied; the direction flag is clear at every
    // function's entry (System V ABI, section 3.2.1).
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") length => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// As in C.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    // Whether `to` begins within what is to be copied; as a difference that wraps, it is less
    // than the length only then.
    if to.addr().wrapping_sub(from.addr()) >= length {
        // SAFETY: a copy from the first byte to the last reads each before it is overwritten.
        return unsafe { memcpy(to, from, length) };
    }
    // SAFETY: the same bytes as the caller's, from the last to the first; `length` is not 0, or
    // the difference would not be less. The direction flag is clear again at the end.
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "cld",
            inout("rcx") length => _,
            inout("rdi") to.byte_add(length - 1) => _,
            inout("rsi") from.byte_add(length - 1) => _,
            options(nostack),
        );
    }
    to
}

/// As in C.
///
/// # Safety
///
/// `to` is writable for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, length: usize) -> *mut c_void {
    // SAFETY: writes what the caller says can be written; the direction flag is clear.
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") length => _,
            inout("rdi") to => _,
            in("al") byte as u8,
            options(nostack, preserves_flags),
        );
    }
    to
}
