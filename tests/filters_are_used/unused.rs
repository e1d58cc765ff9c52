//! What filters allow that is not used here, and why it is allowed.

use std::collections::BTreeSet;

use libc::*;
use vmm::jail::Role;

use crate::used::Right;

/// A call, if that is meant with a certain argument only, and why nobody makes it.
type Reserve = (c_long, Option<c_int>, &'static str);

/// `include/uapi/linux/kvm.h`.
const KVM_SET_XSAVE: c_int = 0x5000_aea5;

const RESERVES: &[Reserve] = &[
    (SYS_brk, None, "the allocator, when the first heap grows"),
    (SYS_mremap, None, "the allocator, when what is large grows"),
    (SYS_sched_yield, None, "a channel that others use, too"),
    (SYS_clock_gettime, None, "where the vDSO has no clock"),
    (SYS_rt_sigaction, Some(SIGSEGV), "a crash"),
    (SYS_rt_sigaction, Some(SIGBUS), "a crash"),
    (SYS_rt_sigaction, Some(SIGABRT), "a crash"),
    (SYS_restart_syscall, None, "what was stopped goes on"),
    (SYS_fcntl, Some(F_GETFD), "a debug build"),
    // By one or the other.
    (SYS_fstat, None, "another version of the C library"),
    (
        SYS_newfstatat,
        Some(AT_EMPTY_PATH),
        "another version of the C library",
    ),
    (
        SYS_ioctl,
        Some(KVM_SET_XSAVE),
        "a host that emulates ring 0",
    ),
    // As if it did not exist.
    (
        SYS_clone3,
        None,
        "a filter answers it before it is in the record",
    ),
];

/// All that is superfluous. What every thread may is not, if any does: when memory is taken or given
/// back, a lock is waited for or a thread ends is nobody's role.
pub fn superfluous(rights: &BTreeSet<Right>, used: &BTreeSet<Right>) -> Vec<Right> {
    let is_used = |right: &Right| match is_everybodys(right, rights) {
        true => Role::ALL.iter().any(|role| used.contains(&right.of(*role))),
        false => used.contains(right),
    };
    let unused = rights.iter().filter(|right| !is_used(right));
    unused.filter(|right| !is_reserve(right)).copied().collect()
}

fn is_everybodys(right: &Right, rights: &BTreeSet<Right>) -> bool {
    Role::ALL
        .iter()
        .all(|role| rights.contains(&right.of(*role)))
}

fn is_reserve(right: &Right) -> bool {
    RESERVES.iter().any(|(call, value, _)| {
        (right.call, right.value) == (*call, value.map(|value| value as u64))
    })
}

#[test]
fn what_need_not_be_used_is_allowed() {
    let rights = crate::used::rights();
    for (call, value, why) in RESERVES {
        let is_allowed = rights
            .iter()
            .any(|right| (right.call, right.value) == (*call, value.map(|value| value as u64)));
        assert!(is_allowed, "nobody may make call {call}: {why}");
    }
}
