//! bpf(2), which none of the libraries in use wraps: loading a program of this type and
//! attaching it to a cgroup.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

use super::DeviceRules;
use super::program::{Instruction, compile};

// Of `include/uapi/linux/bpf.h`.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Others may attach theirs, too; what is used must then be allowed by all.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// `union bpf_attr` for `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`, as far as it is used.
#[repr(C)]
struct Attach {
    target: RawFd,
    program: RawFd,
    attach_type: u32,
    flags: u32,
}

/// Has the kernel ask `rules` whenever a process in the cgroup, an open directory of version 2,
/// uses a device. It does so until the cgroup is removed.
///
/// # Errors
///
/// When the kernel has no such programs or the caller may not load any (`CAP_BPF` and
/// `CAP_NET_ADMIN`, or `CAP_SYS_ADMIN`).
pub(in super::super) fn attach(rules: &DeviceRules, cgroup: &File) -> io::Result<()> {
    let program = load(&compile(rules))?;
    let attach = Attach {
        target: cgroup.as_raw_fd(),
        program: program.as_raw_fd(),
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the structure is one that the command takes, and holds no pointer.
    unsafe { bpf(BPF_PROG_ATTACH, &attach) }.map(drop)
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    // It is asked for by those functions of the kernel that only free programs may call; this
    // one calls none.
    const LICENSE: &std::ffi::CStr = c"MIT";
    let load = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the structure is one that the command takes; what its two pointers lead to is as
    // long as it says, or ended by a NUL byte, and lives through the call.
    let descriptor = unsafe { bpf(BPF_PROG_LOAD, &load) }?;
    // SAFETY: the kernel has just made the descriptor, which nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// # Safety
///
/// `attributes` must be what `command` takes, and its pointers valid.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads as many bytes as it is told, all of `attributes`; the rest is the
    // caller's to prove.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes as *const T,
            size_of::<T>(),
        )
    };
    Ok(Errno::result(result)? as RawFd)
}
