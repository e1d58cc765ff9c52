//! Tables of the packet filter (nftables) as whole things: whether one is there, and its removal.
//! What is in one is the business of whoever makes it.

mod message;

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// The name of the table with the rules of the instance that has this address; no two instances
/// of a network namespace have the same.
pub fn instance_table(address: Ipv4Addr) -> String {
    format!("jaula-{address}")
}

/// Whether there is a table of this name, of the family `ip`, in the caller's network namespace.
///
/// # Errors
///
/// When the kernel can't be asked.
pub fn has_table(name: &str) -> Result<bool, Errno> {
    match ask(&message::get_table(name)) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes the table of this name with all that is in it, of the family `ip`, in the caller's
/// network namespace, if it is there.
///
/// # Errors
///
/// When the kernel does not.
pub fn remove_table(name: &str) -> Result<(), Errno> {
    match ask(&message::delete_table(name)) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Sends a request and reads whether it was granted.
fn ask(request: &[u8]) -> Result<(), Errno> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    sendto(
        socket.as_raw_fd(),
        request,
        &NetlinkAddr::new(0, 0),
        MsgFlags::empty(),
    )?;
    loop {
        if let Some(result) = message::read_answer(&receive(&socket)?) {
            return result;
        }
    }
}

/// One datagram. Answers to what is asked here are shorter than a page, as the kernel's own
/// tools take them to be (netlink(7)).
fn receive(socket: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut datagram = vec![0; 8192];
    loop {
        match recv(socket.as_raw_fd(), &mut datagram, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            result => {
                datagram.truncate(result?);
                return Ok(datagram);
            }
        }
    }
}
