//! The bridge that instances of this host are connected to, as long as the host runs: like
//! docker's, it stays when the last of them is gone.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use host::packet_filter;
use launch::{InstanceId, NetworkRate};
use nix::errno::Errno;

use crate::error::Error;
use crate::link::{self, Link};
use crate::namespace::Namespace;
use crate::nft::Nft;
use crate::resolver;
use crate::route_socket::RouteSocket;
use crate::rules;
use crate::subnet::{self, Range, Subnet};
use crate::sysctl;
use crate::tap::Tap;

/// The bridge's name.
pub const NAME: &str = "jaula0";

/// What an instance's interface is called in it.
const INNER_NAME: &str = "eth0";

/// The bridge, ready for instances, in the network namespace of the thread that opened it.
pub struct Bridge {
    socket: RouteSocket,
    link: Link,
    subnet: Subnet,
}

impl Bridge {
    /// Opens the bridge, and makes it and all that goes with it if it is missing: its address, in a
    /// network of which the host uses nothing, the packet filter's shared table, and the right of
    /// packets to pass the host.
    ///
    /// Needs no lock: of several that do it at once each finds what the others have made.
    ///
    /// # Errors
    ///
    /// When something of that can't be made.
    pub fn open() -> Result<Self, Error> {
        let mut socket = RouteSocket::open().map_err(Error::Socket)?;
        let mut is_new = false;
        let mut link = match find(&mut socket)? {
            Some(link) => link,
            None => {
                is_new = true;
                make(&mut socket)?
            }
        };
        let subnet = match first_address(&mut socket, link)? {
            Some(subnet) => subnet,
            None => {
                is_new = true;
                give_address(&mut socket, link)?
            }
        };
        // An instance could make itself the host's way to IPv6 networks (CVE-2020-13401).
        sysctl::set_ipv6(&format!("conf/{NAME}/disable_ipv6"), "1")?;
        if !link.is_up {
            link::bring_up(&mut socket, link.index).map_err(Error::Bridge)?;
            link.is_up = true;
        }
        sysctl::set("ipv4/ip_forward", "1")?;
        // For ports that are published on the host's loopback network.
        sysctl::set(&format!("ipv4/conf/{NAME}/route_localnet"), "1")?;
        // It is gone when the host's administrator has loaded the rules of a file anew.
        if is_new || !packet_filter::has_table(rules::SHARED_TABLE).map_err(Error::PacketFilter)? {
            Nft::start()?.run(&rules::shared(subnet))?;
        }
        Ok(Self {
            socket,
            link,
            subnet,
        })
    }

    /// The bridge's own address, by which instances reach the host and all else.
    pub fn gateway(&self) -> Ipv4Addr {
        self.subnet.gateway()
    }

    /// How many leading bits all addresses on the bridge share.
    pub fn prefix_length(&self) -> u8 {
        self.subnet.prefix_length()
    }

    /// The longest packet that it takes, in bytes.
    pub fn mtu(&self) -> u32 {
        self.link.mtu
    }

    /// Connects a network namespace: gives it an interface with an address that nobody else on
    /// the bridge has, a way out, and a loopback interface that is up. Each way no more passes than
    /// `rate`.
    ///
    /// # Errors
    ///
    /// When no address is free, or the kernel refuses.
    pub fn connect(
        &mut self,
        namespace: &mut Namespace,
        instance: &InstanceId,
        rate: Option<NetworkRate>,
    ) -> Result<Connection, Error> {
        let connection = self.lease(namespace, instance)?;
        link::allow_hairpin(&mut self.socket, &connection.name).map_err(Error::Link)?;
        self.set_up(namespace, connection.address)
            .map_err(Error::Interface)?;
        if let Some(rate) = rate {
            // What it receives leaves this end of the link, and what it sends that one.
            limit(&mut self.socket, &connection.name, rate)?;
            limit(&mut namespace.socket, INNER_NAME, rate)?;
        }
        Ok(connection)
    }

    /// Makes a tap that is connected, with an address that nobody else on the bridge has.
    ///
    /// # Errors
    ///
    /// When no address is free, or the kernel refuses.
    pub fn connect_tap(&mut self, instance: &InstanceId) -> Result<(Connection, Tap), Error> {
        let (connection, tap) = self.lease_tap(instance)?;
        link::add_to_bridge(
            &mut self.socket,
            &connection.name,
            instance.as_str(),
            self.link,
        )
        .map_err(Error::Link)?;
        link::allow_hairpin(&mut self.socket, &connection.name).map_err(Error::Link)?;
        Ok((connection, tap))
    }

    fn lease_tap(&self, instance: &InstanceId) -> Result<(Connection, Tap), Error> {
        for address in self.subnet.addresses(instance) {
            let name = subnet::link_name(address);
            if let Ok(tap) = Tap::create(&name)? {
                return Ok((Connection { address, name }, tap));
            }
        }
        Err(Error::NoAddress(self.subnet.to_string()))
    }

    /// Makes a link whose name nobody else's has: with the name goes the address.
    fn lease(&mut self, namespace: &Namespace, instance: &InstanceId) -> Result<Connection, Error> {
        for address in self.subnet.addresses(instance) {
            let name = subnet::link_name(address);
            let pair = link::Pair {
                name: name.clone(),
                alias: instance.as_str(),
                bridge: self.link,
                namespace: namespace.as_fd(),
                inner_name: INNER_NAME,
                address,
            };
            match link::create_pair(&mut self.socket, &pair) {
                Ok(()) => return Ok(Connection { address, name }),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::Link(errno)),
            }
        }
        Err(Error::NoAddress(self.subnet.to_string()))
    }

    fn set_up(&self, namespace: &mut Namespace, address: Ipv4Addr) -> Result<(), Errno> {
        let socket = &mut namespace.socket;
        link::bring_up(socket, link::LOOPBACK_INDEX)?;
        let inner = link::find(socket, INNER_NAME)?.ok_or(Errno::ENODEV)?;
        link::add_address(socket, inner.index, address, self.subnet)?;
        // With the address there before, so that it has a route at once.
        link::bring_up(socket, inner.index)?;
        link::add_default_route(socket, self.subnet.gateway())
    }
}

/// An instance's place on the bridge. Dropping it takes the link away, and the address is free
/// for others; were that left out, the end of the instance's network namespace would do it.
#[derive(Debug)]
pub struct Connection {
    address: Ipv4Addr,
    name: String,
}

impl Connection {
    /// The instance's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The Ethernet address that goes with it.
    pub fn ethernet_address(&self) -> [u8; 6] {
        subnet::ethernet_address(self.address)
    }

    /// The name of the host's end of the link.
    pub fn link_name(&self) -> &str {
        &self.name
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let removed =
            RouteSocket::open().and_then(|mut socket| link::delete(&mut socket, &self.name));
        match removed {
            // The namespace may have been faster.
            Ok(()) | Err(Errno::ENODEV) => {}
            Err(errno) => tracing::warn!(%errno, link = self.name, "a link is left behind"),
        }
    }
}

fn limit(socket: &mut RouteSocket, name: &str, rate: NetworkRate) -> Result<(), Error> {
    let link = link::find(socket, name).and_then(|found| found.ok_or(Errno::ENODEV));
    link.and_then(|link| link::limit(socket, link, rate.bytes_per_s()))
        .map_err(Error::Rate)
}

fn find(socket: &mut RouteSocket) -> Result<Option<Link>, Error> {
    link::find(socket, NAME).map_err(|source| Error::Look {
        what: "interfaces",
        source,
    })
}

fn make(socket: &mut RouteSocket) -> Result<Link, Error> {
    let (_, default_interface) = routes(socket)?;
    let mtu = match default_interface {
        // A longer packet than the way out takes would have to be cut, or be lost.
        Some(index) => link::mtu(socket, index).map_err(Error::Bridge)?,
        None => link::ETHERNET_MTU,
    };
    // Any will do, as long as it stays the same.
    let ethernet_address = subnet::ethernet_address(Ipv4Addr::UNSPECIFIED);
    match link::create_bridge(socket, NAME, ethernet_address.into()) {
        // Made by somebody else just now.
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(Error::Bridge(errno)),
    }
    let link = find(socket)?.ok_or(Error::Bridge(Errno::ENODEV))?;
    if link.mtu != mtu {
        link::set_mtu(socket, link.index, mtu).map_err(Error::Bridge)?;
    }
    Ok(Link { mtu, ..link })
}

fn give_address(socket: &mut RouteSocket, link: Link) -> Result<Subnet, Error> {
    let (mut used, _) = routes(socket)?;
    // Name servers may be reached by the default route only, and must stay so.
    used.extend(
        resolver::host_servers()
            .into_iter()
            .filter_map(|server| match server {
                IpAddr::V4(server) => Some(Range::new(server, 32)),
                IpAddr::V6(_) => None,
            }),
    );
    let subnet = Subnet::choose(&used).ok_or(Error::NoNetwork)?;
    match link::add_address(socket, link.index, subnet.gateway(), subnet) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(Error::Bridge(errno)),
    }
    // Somebody else may have given it one at the same time; the first one counts for all.
    match first_address(socket, link)? {
        Some(first) if first != subnet => {
            link::remove_address(socket, link.index, subnet).map_err(Error::Bridge)?;
            Ok(first)
        }
        _ => Ok(subnet),
    }
}

fn first_address(socket: &mut RouteSocket, link: Link) -> Result<Option<Subnet>, Error> {
    let addresses = link::addresses(socket, link.index).map_err(|source| Error::Look {
        what: "addresses",
        source,
    })?;
    Ok(addresses.first().copied())
}

fn routes(socket: &mut RouteSocket) -> Result<(Vec<Range>, Option<u32>), Error> {
    link::routes(socket).map_err(|source| Error::Look {
        what: "routes",
        source,
    })
}
