//! The filter, without anything else: whoever loads it keeps all other rights.

use std::ffi::{c_long, c_ulong};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::getpid;
use vmm::jail::{Filter, Role, settle_heaps};

use super::in_child;

/// Something that a monitor must not do: its name, and the call, with the number of a process that
/// it may be done to.
type Crime = (&'static str, fn(c_ulong) -> c_long);

/// Makes a system call with arguments that are numbers, or point to what lives as long.
fn call(number: c_long, arguments: [c_ulong; 6]) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the process does nothing afterwards but say what came of it; what the arguments
    // point to is constant.
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

fn path() -> c_ulong {
    c"/etc/passwd".as_ptr().expose_provenance() as c_ulong
}

const HERE: c_ulong = libc::AT_FDCWD as c_ulong;

/// What nobody may.
const CRIMES: &[Crime] = &[
    ("open", |_| call(libc::SYS_open, [path(), 0, 0, 0, 0, 0])),
    ("a socket of the network", |_| {
        call(libc::SYS_socket, [libc::AF_INET as _, 1, 0, 0, 0, 0])
    }),
    ("a socket of the host's", |_| {
        call(libc::SYS_socket, [libc::AF_UNIX as _, 1, 0, 0, 0, 0])
    }),
    ("connect", |_| call(libc::SYS_connect, [0, 0, 0, 0, 0, 0])),
    ("execve", |_| {
        call(libc::SYS_execve, [path(), 0, 0, 0, 0, 0])
    }),
    ("execveat", |_| {
        call(libc::SYS_execveat, [HERE, path(), 0, 0, 0, 0])
    }),
    ("fork", |_| call(libc::SYS_fork, [0; 6])),
    ("vfork", |_| call(libc::SYS_vfork, [0; 6])),
    ("clone of a process", |_| {
        call(libc::SYS_clone, [libc::SIGCHLD as _, 0, 0, 0, 0, 0])
    }),
    ("clone into a namespace", |_| {
        call(libc::SYS_clone, [libc::CLONE_NEWUSER as _, 0, 0, 0, 0, 0])
    }),
    ("ptrace", |parent| {
        call(
            libc::SYS_ptrace,
            [libc::PTRACE_ATTACH as _, parent, 0, 0, 0, 0],
        )
    }),
    ("others' memory", |parent| {
        call(libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0])
    }),
    ("a signal to another process", |parent| {
        call(libc::SYS_kill, [parent, 0, 0, 0, 0, 0])
    }),
    ("a signal to another process's thread", |parent| {
        call(libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0])
    }),
    ("another process's descriptor", |_| {
        call(libc::SYS_pidfd_open, [1, 0, 0, 0, 0, 0])
    }),
    ("mount", |_| {
        call(libc::SYS_mount, [path(), path(), path(), 0, 0, 0])
    }),
    ("umount", |_| {
        call(libc::SYS_umount2, [path(), 0, 0, 0, 0, 0])
    }),
    ("pivot_root", |_| {
        call(libc::SYS_pivot_root, [path(), path(), 0, 0, 0, 0])
    }),
    ("chroot", |_| {
        call(libc::SYS_chroot, [path(), 0, 0, 0, 0, 0])
    }),
    ("open_tree", |_| {
        call(libc::SYS_open_tree, [HERE, path(), 0, 0, 0, 0])
    }),
    ("a new namespace", |_| {
        call(libc::SYS_unshare, [libc::CLONE_NEWNS as _, 0, 0, 0, 0, 0])
    }),
    ("another namespace", |_| call(libc::SYS_setns, [0; 6])),
    ("another user", |_| {
        call(libc::SYS_setresuid, [0, 0, 0, 0, 0, 0])
    }),
    ("code from nowhere", |_| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        call(
            libc::SYS_mmap,
            [0, 4096, executable as _, flags as _, c_ulong::MAX, 0],
        )
    }),
    ("code that was data", |_| {
        let page = (path() / 4096) * 4096;
        call(
            libc::SYS_mprotect,
            [page, 4096, libc::PROT_EXEC as _, 0, 0, 0],
        )
    }),
    ("input for the terminal", |_| {
        call(libc::SYS_ioctl, [0, libc::TIOCSTI, path(), 0, 0, 0])
    }),
    ("a machine", |_| {
        // KVM_CREATE_VM
        call(libc::SYS_ioctl, [0, 0xae01, 0, 0, 0, 0])
    }),
    ("a core dump", |_| {
        call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as _, 1, 0, 0, 0, 0])
    }),
    ("higher limits", |_| call(libc::SYS_prlimit64, [0; 6])),
    ("bpf", |_| call(libc::SYS_bpf, [0; 6])),
    ("io_uring", |_| call(libc::SYS_io_uring_setup, [0; 6])),
    ("userfaultfd", |_| call(libc::SYS_userfaultfd, [0; 6])),
    ("perf", |_| call(libc::SYS_perf_event_open, [0; 6])),
    ("keys", |_| call(libc::SYS_keyctl, [0; 6])),
    ("a module", |_| call(libc::SYS_init_module, [0; 6])),
    ("a handle", |_| call(libc::SYS_open_by_handle_at, [0; 6])),
    ("a call that does not exist", |_| call(1_000_000, [0; 6])),
];

/// What others may, that is not for everyone.
const NOT_FOR_ALL: &[(Crime, &[Role])] = &[
    (
        ("openat", |_| {
            call(libc::SYS_openat, [HERE, path(), 0, 0, 0, 0])
        }),
        &[Role::Shares],
    ),
    (
        ("unlinkat", |_| {
            call(libc::SYS_unlinkat, [HERE, 0, 0, 0, 0, 0])
        }),
        &[Role::Shares],
    ),
    (
        ("fallocate", |_| {
            call(libc::SYS_fallocate, [c_ulong::MAX, 0, 0, 1, 0, 0])
        }),
        &[Role::Shares, Role::Disks],
    ),
    (
        ("capset", |_| call(libc::SYS_capset, [0; 6])),
        &[Role::Shares],
    ),
    (
        ("KVM_RUN", |_| {
            call(libc::SYS_ioctl, [c_ulong::MAX, 0xae80, 0, 0, 0, 0])
        }),
        &[Role::Vcpu],
    ),
    (
        ("recvmsg", |_| {
            call(libc::SYS_recvmsg, [c_ulong::MAX, 0, 0, 0, 0, 0])
        }),
        &[Role::Request, Role::Main],
    ),
    (
        ("sendmsg", |_| {
            call(libc::SYS_sendmsg, [c_ulong::MAX, 0, 0, 0, 0, 0])
        }),
        &[Role::Devices, Role::Request, Role::Main],
    ),
    (
        ("socketpair", |_| {
            call(libc::SYS_socketpair, [libc::AF_UNIX as _, 0, 0, 0, 0, 0])
        }),
        &[Role::Main],
    ),
];

fn commit(role: Role, crime: fn(c_ulong) -> c_long) -> WaitStatus {
    let parent = getpid().as_raw() as c_ulong;
    in_child(|| {
        if let Err(error) = Filter::of(role).and_then(|filter| filter.load()) {
            return error.to_string();
        }
        crime(parent).to_string()
    })
    .status
}

fn is_killed(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _))
}

#[test]
fn whoever_does_what_no_monitor_does_is_killed() {
    for role in Role::ALL {
        for (name, crime) in CRIMES {
            let status = commit(role, *crime);
            assert!(is_killed(status), "{role:?}: {name}: {status:?}");
        }
    }
}

#[test]
fn whoever_does_what_another_thread_may_is_killed() {
    for role in Role::ALL {
        for ((name, act), allowed) in NOT_FOR_ALL {
            let status = commit(role, *act);
            let expected = !allowed.contains(&role);
            assert_eq!(is_killed(status), expected, "{role:?}: {name}: {status:?}");
        }
    }
}

#[test]
fn one_that_does_nothing_wrong_lives() {
    for role in Role::ALL {
        let status = commit(role, |_| getpid().as_raw().into());
        assert!(
            matches!(status, WaitStatus::Exited(_, 0)),
            "{role:?}: {status:?}"
        );
    }
}

/// As the memory does that holds what the guest sends and nobody takes.
fn take_and_give_back_memory() -> bool {
    let loaded = Filter::of(Role::Devices).and_then(|filter| filter.load());
    for kib in [256, 100, 200, 250] {
        let all: Vec<_> = (0..4).map(|_| vec![1_u8; kib << 10]).collect();
        std::hint::black_box(all);
    }
    loaded.is_ok()
}

#[test]
fn memory_that_comes_and_goes_opens_no_file() {
    let end = in_child(|| {
        settle_heaps();
        // One may have the first heap, which is another kind.
        let threads = [(); 3].map(|()| std::thread::spawn(take_and_give_back_memory));
        let done = threads.map(|thread| thread.join().unwrap_or(false));
        format!("{done:?}")
    });
    assert!(matches!(end.status, WaitStatus::Exited(_, 0)), "{end:?}");
    assert_eq!(end.said, "[true, true, true]");
}

#[test]
fn threads_that_start_later_have_both_filters() {
    let end = in_child(|| {
        let loaded = Filter::of(Role::Main).and_then(|filter| filter.load());
        let inner = Filter::of(Role::Stdout);
        let (Ok(()), Ok(inner)) = (loaded, inner) else {
            return "no filter".to_owned();
        };
        let thread = std::thread::Builder::new().name("later".to_owned());
        let joined = thread.spawn(move || {
            let loaded = inner.load();
            // Allowed to the main thread alone.
            call(libc::SYS_socketpair, [libc::AF_UNIX as _, 0, 0, 0, 0, 0]);
            loaded.is_ok()
        });
        format!("{:?}", joined.map(|thread| thread.join().is_ok()))
    });
    assert!(is_killed(end.status), "{end:?}");
}
