//! The four connections of a guest in another monitor, which need not know vsock: TCP, to the same ports
//! of who is the gateway of the guest's one network interface.

use std::net::Ipv4Addr;

use crate::Interface;

/// The word of the kernel's command line, handed on to PID 1, with which it connects by TCP.
pub const OVER_TCP: &str = "over_tcp";

/// What the interface has: the addresses of QEMU's user-mode network (`-netdev user`), and an Ethernet
/// address of those that everybody may give (IEEE 802, the second bit of the first byte).
pub const TCP_INTERFACE: Interface = Interface {
    ethernet_address: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
    address: Ipv4Addr::new(10, 0, 2, 15),
    prefix_length: 24,
    gateway: Ipv4Addr::new(10, 0, 2, 2),
};
