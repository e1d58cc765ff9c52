//! Numbers of ioctls: `include/uapi/asm-generic/ioctl.h`, and the headers that are named below.

use std::mem::size_of;

use kvm_bindings::{
    kvm_clock_data, kvm_cpuid2, kvm_debugregs, kvm_irqchip, kvm_lapic_state, kvm_mp_state,
    kvm_msr_list, kvm_msrs, kvm_pit_state2, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs,
    kvm_xsave,
};

const WRITE: u64 = 1;
const READ: u64 = 2;

const fn number(direction: u64, kind: u64, number: u64, bytes: usize) -> u64 {
    direction << 30 | (bytes as u64) << 16 | kind << 8 | number
}

/// `KVMIO` of `include/uapi/linux/kvm.h`, where all of these are.
const KVM: u64 = 0xae;

const fn get<T>(nr: u64) -> u64 {
    number(READ, KVM, nr, size_of::<T>())
}

const fn set<T>(nr: u64) -> u64 {
    number(WRITE, KVM, nr, size_of::<T>())
}

const fn both<T>(nr: u64) -> u64 {
    number(READ | WRITE, KVM, nr, size_of::<T>())
}

/// Whether the type of this request is KVM's.
pub(super) const fn is_of_kvm(request: u64) -> bool {
    (request >> 8) & 0xff == KVM
}

/// What the thread of a vCPU asks of KVM: to run, and what there is to be saved.
pub(super) const OF_VCPU: &[u64] = &[
    // KVM_RUN
    number(0, KVM, 0x80, 0),
    // KVM_CHECK_EXTENSION
    number(0, KVM, 0x03, 0),
    // KVM_GET_MSR_INDEX_LIST
    both::<kvm_msr_list>(0x02),
    // KVM_GET_REGS
    get::<kvm_regs>(0x81),
    // KVM_GET_SREGS
    get::<kvm_sregs>(0x83),
    // KVM_GET_MSRS
    both::<kvm_msrs>(0x88),
    // KVM_GET_LAPIC
    get::<kvm_lapic_state>(0x8e),
    // KVM_GET_CPUID2
    both::<kvm_cpuid2>(0x91),
    // KVM_GET_MP_STATE
    get::<kvm_mp_state>(0x98),
    // KVM_GET_VCPU_EVENTS
    get::<kvm_vcpu_events>(0x9f),
    // KVM_GET_DEBUGREGS
    get::<kvm_debugregs>(0xa1),
    // KVM_GET_TSC_KHZ
    number(0, KVM, 0xa3, 0),
    // KVM_GET_XSAVE
    get::<kvm_xsave>(0xa4),
    // KVM_SET_XSAVE: where ring 0 is emulated, the guest's kernel asks for it.
    set::<kvm_xsave>(0xa5),
    // KVM_GET_XCRS
    get::<kvm_xcrs>(0xa6),
    // Of the machine. KVM_GET_IRQCHIP
    both::<kvm_irqchip>(0x62),
    // KVM_GET_CLOCK
    get::<kvm_clock_data>(0x7c),
    // KVM_GET_PIT2
    get::<kvm_pit_state2>(0x9f),
    // A driver has chosen what the host leaves to it.
    TUNSETOFFLOAD,
    // How much is on its way in a socket.
    FIONREAD,
];

/// `include/uapi/linux/if_tun.h`.
const TUNSETOFFLOAD: u64 = libc::TUNSETOFFLOAD;
/// `include/uapi/asm-generic/ioctls.h`: how much can be read.
const FIONREAD: u64 = libc::FIONREAD;
/// The same: whether reads and writes of a socket wait.
pub(super) const FIONBIO: u64 = libc::FIONBIO;
