//! Signals as a program finds them that nobody has prepared anything for.

use crate::syscall::{self, Result};

/// Gives every signal its default action and unblocks all. `execve` resets handlers, but hands on
/// what is ignored (Rust's runtime ignores SIGPIPE) and the mask.
pub(crate) fn reset() -> Result<()> {
    // 1 to SIGRTMAX of the kernel, signal(7).
    (1..=64).for_each(syscall::reset_signal);
    syscall::unblock_all_signals()
}
