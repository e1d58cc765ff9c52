//! The network of an ordinary user's virtual machine: that of a container, with nobody in it. The
//! program's interface and the machine's tap are ports of a bridge there, so that the machine has the
//! address that a container has, and the program notices no difference.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;

use host::InstanceDir;
use host::cgroup::Entrance;
use launch::Endpoint;
use nix::errno::Errno;

use super::{ADDRESS, GATEWAY, INNER_NAME, PREFIX_LENGTH, UserMode, UserModePorts};
use crate::error::Error;
use crate::link::{self, Link};
use crate::outpost::{Opened, Outpost};
use crate::route_socket::RouteSocket;
use crate::subnet::ethernet_address;
use crate::tap::Tap;

/// What the bridge is called there, and the tap.
const BRIDGE_NAME: &str = "bridge";
const TAP_NAME: &str = "machine";

/// A tap, and a program that connects it.
///
/// Dropped from top to bottom: the program ends first.
#[derive(Debug)]
pub struct TapInUserMode {
    user_mode: UserMode,
    tap: Tap,
    mtu: u32,
    /// It is there as long as this is: nobody is in it.
    _namespace: File,
}

impl TapInUserMode {
    /// Makes the tap, and has a program connect it. That joins the cgroup that `entrance` leads to.
    ///
    /// # Errors
    ///
    /// When ordinary users can make no namespaces or taps here, there is no program, or it fails.
    pub fn connect(
        ports: UserModePorts,
        dir: &InstanceDir,
        entrance: Option<Entrance>,
    ) -> Result<Self, Error> {
        let (outpost, opened) = Outpost::start()?;
        let Opened {
            mut routes,
            tun,
            namespace,
        } = opened;
        let user_mode = UserMode::connect_bridge(outpost.pid(), ports, dir, entrance)?;
        let bridge = bridge(&mut routes, dir).map_err(Error::Interface)?;
        let tap = Tap::create_by(tun, TAP_NAME)?
            .map_err(|_| Error::Tap(io::ErrorKind::AlreadyExists.into()))?;
        link::add_to_bridge(&mut routes, TAP_NAME, dir.id().as_str(), bridge)
            .map_err(Error::Interface)?;
        announce(&tap).map_err(Error::Tap)?;
        Ok(Self {
            user_mode,
            tap,
            mtu: bridge.mtu,
            _namespace: namespace,
        })
    }

    /// The tap.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The longest packet that it takes, in bytes.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// The machine's address.
    pub fn address(&self) -> Ipv4Addr {
        ADDRESS
    }

    /// The Ethernet address that goes with it.
    pub fn ethernet_address(&self) -> [u8; 6] {
        ethernet_address(ADDRESS)
    }

    /// The way out.
    pub fn gateway(&self) -> Ipv4Addr {
        GATEWAY
    }

    /// How many leading bits the address shares with the gateway's.
    pub fn prefix_length(&self) -> u8 {
        PREFIX_LENGTH
    }

    /// Where the machine is found.
    pub fn endpoint(&self) -> Endpoint {
        self.user_mode.endpoint()
    }
}

/// Makes a bridge whose only port is the program's interface. The address that the program gave that
/// is the machine's.
fn bridge(routes: &mut RouteSocket, dir: &InstanceDir) -> Result<Link, Errno> {
    let port = link::find(routes, INNER_NAME)?.ok_or(Errno::ENODEV)?;
    for address in link::addresses(routes, port.index)? {
        link::remove_address(routes, port.index, address)?;
    }
    let own = ethernet_address(Ipv4Addr::UNSPECIFIED);
    link::create_bridge(routes, BRIDGE_NAME, own.into())?;
    let bridge = link::find(routes, BRIDGE_NAME)?.ok_or(Errno::ENODEV)?;
    link::set_mtu(routes, bridge.index, port.mtu)?;
    link::bring_up(routes, bridge.index)?;
    let bridge = Link {
        mtu: port.mtu,
        ..bridge
    };
    link::add_to_bridge(routes, INNER_NAME, dir.id().as_str(), bridge)?;
    Ok(bridge)
}

/// Says in the machine's name which Ethernet address it has: pasta sends to who has sent something, and
/// a machine that is only asked might never do.
fn announce(tap: &Tap) -> io::Result<()> {
    tap.file().write_all(&announcement()).map(drop)
}

/// A gratuitous ARP request (RFC 5944, section 4.6), behind an empty `struct virtio_net_hdr`.
fn announcement() -> Vec<u8> {
    let (own, address) = (ethernet_address(ADDRESS), ADDRESS.octets());
    [
        // A tap's, before its length is set (`tun_chr_open`, `drivers/net/tun.c`).
        &[0; 10][..],
        // To all, from the machine, ARP.
        &[0xff; 6],
        &own,
        &[0x08, 0x06],
        // Ethernet and IPv4, with addresses of 6 and 4 bytes; a request.
        &[0, 1, 0x08, 0, 6, 4, 0, 1],
        // Who has the machine's address? Tell the machine.
        &own,
        &address,
        &[0; 6],
        &address,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_an_arp_frame() {
        let frame = announcement();
        // Header, Ethernet's header, and ARP's 28 bytes.
        assert_eq!(frame.len(), 10 + 14 + 28);
        assert_eq!(frame[38..42], ADDRESS.octets());
        assert_eq!(frame[48..], ADDRESS.octets());
    }
}
