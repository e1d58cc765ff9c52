//! Gets a vCPU out of the guest from another thread.
//!
//! A real-time signal interrupts `KVM_RUN`. One that comes just before the call would be lost,
//! so its handler also sets `immediate_exit` in the vCPU's `kvm_run`, which makes the call
//! return at once (`Documentation/virt/kvm/api.rst`, section 5).

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr;

use kvm_ioctls::VcpuFd;
use nix::unistd::{Pid, getpid, gettid};
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

thread_local! {
    /// `immediate_exit` of the vCPU that this thread runs. Const-initialised and without a
    /// destructor, so that a signal handler may read it.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let flag = IMMEDIATE_EXIT.get();
    if !flag.is_null() {
        // SAFETY: the pointer is set only while a `Kickable` of this very thread lives, whose
        // maker keeps the vCPU, and with it the mapping of `kvm_run`, for as long. It is one byte
        // that the kernel reads and this process writes, here and in `VcpuFd`, on one thread.
        unsafe { flag.write_volatile(1) };
    }
}

/// Kicks the vCPU that one thread runs.
#[derive(Clone, Copy, Debug)]
pub struct Kick {
    process: Pid,
    thread: Pid,
}

impl Kick {
    /// For the calling thread.
    ///
    /// # Errors
    ///
    /// When the signal's handler can't be installed.
    pub fn this_thread() -> io::Result<Self> {
        register_signal_handler(SIGRTMIN(), on_kick).map_err(io::Error::from)?;
        Ok(Self {
            process: getpid(),
            thread: gettid(),
        })
    }

    /// Makes the run of the thread's vCPU return [`super::Stop::Kicked`]; nothing, if the thread
    /// runs none.
    ///
    /// # Errors
    ///
    /// When the thread has ended.
    pub fn kick(&self) -> io::Result<()> {
        // SAFETY: tgkill(2) takes numbers only, and reaches only threads of this process, where
        // the signal has a handler.
        let result = unsafe {
            libc::syscall(
                libc::SYS_tgkill,
                self.process.as_raw(),
                self.thread.as_raw(),
                SIGRTMIN(),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// While it lives, the calling thread's kicks reach one vCPU. It stays on that thread.
pub(super) struct Kickable(PhantomData<*mut u8>);

impl Kickable {
    /// The caller keeps `vcpu` while this lives.
    pub(super) fn new(vcpu: &mut VcpuFd) -> Self {
        IMMEDIATE_EXIT.set(&raw mut vcpu.get_kvm_run().immediate_exit);
        Self(PhantomData)
    }
}

impl Drop for Kickable {
    fn drop(&mut self) {
        IMMEDIATE_EXIT.set(ptr::null_mut());
    }
}
