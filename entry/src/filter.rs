use crate::syscall;

/// A program that the kernel runs at each system call, to decide whether it is made: cBPF, as
/// `seccomp(2)` takes it. Ready to be loaded: nothing of it is understood here.
#[derive(Clone)]
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// A filter of these instructions.
    pub fn new(instructions: Vec<libc::sock_filter>) -> Self {
        Self(instructions)
    }

    /// Its instructions.
    pub fn instructions(&self) -> &[libc::sock_filter] {
        &self.0
    }

    /// Has all system calls from here on pass it, and those of what is executed. Takes
    /// CAP_SYS_ADMIN, or that no privileges can be gained any more.
    pub(crate) fn load(&self) -> syscall::Result<()> {
        syscall::load_filter(&self.0)
    }
}
