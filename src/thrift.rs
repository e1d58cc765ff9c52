//! Memory that jaula does not need while it waits.

use std::ptr;

use nix::libc;
use nix::unistd::{SysconfVar, sysconf};

// Made by the linker (`end(3)`, and `ld`'s default script).
unsafe extern "C" {
    /// The first byte of the program.
    static __executable_start: u8;
    /// The first byte after its code, before anything that can be written to.
    static etext: u8;
}

/// Gives back what the preparation and the launch have used: free memory of the heap, and code
/// and constants, most of which are not needed again. The kernel reads those anew from the file,
/// or from the page cache, when they are.
pub fn give_memory_back() {
    // SAFETY: takes a number.
    unsafe { libc::malloc_trim(0) };
    let Ok(Some(page)) = sysconf(SysconfVar::PAGE_SIZE) else {
        return;
    };
    let page = page as usize;
    let start = (&raw const __executable_start)
        .addr()
        .next_multiple_of(page);
    let end = (&raw const etext).addr() / page * page;
    let length = end.saturating_sub(start);
    // SAFETY: between the two symbols lie the program's headers, constants and code, in segments
    // that are mapped privately from the file and never written to: what has to be relocated comes
    // after the code. The file can't be written to while it is executed. So each page that is
    // dropped comes back as it was.
    unsafe {
        libc::madvise(
            ptr::with_exposed_provenance_mut(start),
            length,
            libc::MADV_DONTNEED,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_comes_back_as_it_was() {
        let text = "a constant of the program's".to_owned();
        for _ in 0..3 {
            give_memory_back();
            assert_eq!(text, "a constant of the program's");
        }
    }
}
