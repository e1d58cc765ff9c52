//! The requests to rtnetlink that are made here, and what is read from its answers.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::DefaultNla;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::route_socket::RouteSocket;
use crate::subnet::{Range, Subnet, ethernet_address};

/// The loopback interface is the first one of every network namespace (`LOOPBACK_IFINDEX`,
/// `include/net/flow.h`).
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// An interface that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    /// The longest packet it takes, in bytes.
    pub(crate) mtu: u32,
}

/// The interface of this name; `None` if there is none.
pub(crate) fn find(socket: &mut RouteSocket, name: &str) -> Result<Option<Link>, Errno> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    match socket.get(RouteNetlinkMessage::GetLink(message)) {
        Ok(Some(RouteNetlinkMessage::NewLink(link))) => Ok(Some(read_link(&link))),
        Ok(_) => Err(Errno::EBADMSG),
        Err(Errno::ENODEV) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn read_link(message: &LinkMessage) -> Link {
    let mtu = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
    Link {
        index: message.header.index,
        is_up: message.header.flags.contains(LinkFlags::Up),
        // The kernel tells it of every interface.
        mtu: mtu.unwrap_or(ETHERNET_MTU),
    }
}

/// The MTU of an Ethernet, of the RFC 894.
pub(crate) const ETHERNET_MTU: u32 = 1500;

/// The IPv4 addresses of an interface, in the order in which it got them.
pub(crate) fn addresses(socket: &mut RouteSocket, index: u32) -> Result<Vec<Subnet>, Errno> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    let answers = socket.list(RouteNetlinkMessage::GetAddress(message))?;
    let of_interface = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(address) if address.header.index == index => Some(address),
        _ => None,
    });
    Ok(of_interface
        .filter_map(|message| {
            let local = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Local(IpAddr::V4(local)) => Some(*local),
                    _ => None,
                });
            local.map(|local| Subnet::new(local, message.header.prefix_len))
        })
        .collect())
}

/// What the IPv4 routes of the host lead to, but for those that lead everywhere, and the
/// interface that one of those uses.
pub(crate) fn routes(socket: &mut RouteSocket) -> Result<(Vec<Range>, Option<u32>), Errno> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    let mut ranges = Vec::new();
    let mut default_interface = None;
    for answer in socket.list(RouteNetlinkMessage::GetRoute(message))? {
        let RouteNetlinkMessage::NewRoute(route) = answer else {
            continue;
        };
        let prefix_length = route.header.destination_prefix_length;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(to)) if prefix_length > 0 => {
                    ranges.push(Range::new(*to, prefix_length));
                }
                RouteAttribute::Oif(index) if prefix_length == 0 => {
                    default_interface = default_interface.or(Some(*index));
                }
                _ => {}
            }
        }
    }
    Ok((ranges, default_interface))
}

/// The MTU of an interface.
pub(crate) fn mtu(socket: &mut RouteSocket, index: u32) -> Result<u32, Errno> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    match socket.get(RouteNetlinkMessage::GetLink(message))? {
        Some(RouteNetlinkMessage::NewLink(link)) => Ok(read_link(&link).mtu),
        _ => Err(Errno::EBADMSG),
    }
}

/// Makes a bridge. Its Ethernet address is given, so that it does not change with its ports.
pub(crate) fn create_bridge(
    socket: &mut RouteSocket,
    name: &str,
    ethernet_address: Vec<u8>,
) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(ethernet_address),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    socket.create(RouteNetlinkMessage::NewLink(message))
}

/// Changes the MTU of an interface. A bridge keeps one that it was changed to, and not one that it was
/// made with (`br_mtu_auto_adjust`, `net/bridge/br_if.c`).
pub(crate) fn set_mtu(socket: &mut RouteSocket, index: u32, mtu: u32) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::Mtu(mtu)];
    socket.change(RouteNetlinkMessage::SetLink(message))
}

/// A pair of Ethernet interfaces of which each gets what the other sends.
pub(crate) struct Pair<'a> {
    /// The host's end.
    pub(crate) name: String,
    /// What is told about it to whoever lists interfaces.
    pub(crate) alias: &'a str,
    /// The bridge that the host's end is a port of.
    pub(crate) bridge: Link,
    /// The network namespace of the other end.
    pub(crate) namespace: BorrowedFd<'a>,
    /// The name of the other end.
    pub(crate) inner_name: &'a str,
    /// The IP address of the other end, which its Ethernet address is made from.
    pub(crate) address: Ipv4Addr,
}

/// Makes the pair with all that is known of it, in one request, so that nothing of it can be
/// left half made. Its inner end is down.
pub(crate) fn create_pair(socket: &mut RouteSocket, pair: &Pair<'_>) -> Result<(), Errno> {
    // Not up yet: it can't be before it has another end (`veth_open`, `drivers/net/veth.c`).
    let mut inner = LinkMessage::default();
    inner.attributes = vec![
        LinkAttribute::IfName(pair.inner_name.to_owned()),
        LinkAttribute::Address(ethernet_address(pair.address).into()),
        LinkAttribute::Mtu(pair.bridge.mtu),
        LinkAttribute::NetNsFd(pair.namespace.as_raw_fd()),
    ];
    let mut outer = LinkMessage::default();
    outer.header.flags = LinkFlags::Up;
    outer.header.change_mask = LinkFlags::Up;
    outer.attributes = vec![
        LinkAttribute::IfName(pair.name.clone()),
        LinkAttribute::IfAlias(pair.alias.to_owned()),
        LinkAttribute::Mtu(pair.bridge.mtu),
        LinkAttribute::Controller(pair.bridge.index),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inner))),
        ]),
    ];
    socket.create(RouteNetlinkMessage::NewLink(outer))
}

/// Makes an interface that is there a port of a bridge, with all that [`create_pair`] gives to the
/// host's end.
pub(crate) fn add_to_bridge(
    socket: &mut RouteSocket,
    name: &str,
    alias: &str,
    bridge: Link,
) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::IfAlias(alias.to_owned()),
        LinkAttribute::Mtu(bridge.mtu),
        LinkAttribute::Controller(bridge.index),
    ];
    socket.change(RouteNetlinkMessage::SetLink(message))
}

/// Lets a port of a bridge send back what came from it. Where rules of the packet filter apply to
/// bridged packets, too (`br_netfilter`), an instance could not reach its own published ports
/// otherwise.
pub(crate) fn allow_hairpin(socket: &mut RouteSocket, name: &str) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(
                true,
            )])),
        ]),
    ];
    // The attributes of a port are not read in a request to set a link.
    socket.change(RouteNetlinkMessage::NewLink(message))
}

/// Lets no more bytes a second out of an interface: a token bucket filter (tc-tbf(8)).
pub(crate) fn limit(
    socket: &mut RouteSocket,
    link: Link,
    bytes_per_s: NonZeroU64,
) -> Result<(), Errno> {
    let mut message = TcMessage::default();
    // No interface has a larger number.
    message.header.index = link.index.cast_signed();
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("tbf".to_owned()),
        TcAttribute::Options(token_bucket(bytes_per_s.get(), link.mtu)),
    ];
    socket.create(RouteNetlinkMessage::NewQueueDiscipline(message))
}

/// `TCA_TBF_PARMS`, `TCA_TBF_RATE64` and `TCA_TBF_BURST` (`include/uapi/linux/pkt_sched.h`).
fn token_bucket(bytes_per_s: u64, mtu: u32) -> Vec<TcOption> {
    const PARMS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    /// `TC_LINKLAYER_ETHERNET`: no table of times is needed.
    const ETHERNET: u8 = 1;
    /// What stands before a packet.
    const ETHERNET_HEADER_BYTES: u32 = 14;
    // What passes in a tenth of a second, and at least a packet: a longer one is dropped.
    let part = |divisor| u32::try_from(bytes_per_s / divisor).unwrap_or(u32::MAX);
    let burst = part(10).max(mtu.saturating_add(ETHERNET_HEADER_BYTES));
    // What waits: half a second's, and some packets.
    let waiting = part(2).max(burst.saturating_mul(4));
    // `struct tc_tbf_qopt`: the rate, no peak rate, `limit`, and `buffer` and `mtu`, which the burst
    // stands for.
    let rate = u32::try_from(bytes_per_s).unwrap_or(u32::MAX);
    let mut parms = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    parms.extend(rate.to_ne_bytes());
    parms.extend([0; 12]);
    parms.extend(waiting.to_ne_bytes());
    parms.extend([0; 8]);
    [
        (PARMS, parms),
        (RATE64, bytes_per_s.to_ne_bytes().to_vec()),
        (BURST, burst.to_ne_bytes().to_vec()),
    ]
    .map(|(kind, value)| TcOption::Other(DefaultNla::new(kind, value)))
    .into()
}

/// Brings an interface up.
pub(crate) fn bring_up(socket: &mut RouteSocket, index: u32) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    socket.change(RouteNetlinkMessage::SetLink(message))
}

/// Removes an interface, and with a pair the other end.
pub(crate) fn delete(socket: &mut RouteSocket, name: &str) -> Result<(), Errno> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    socket.change(RouteNetlinkMessage::DelLink(message))
}

/// Gives an interface an address.
pub(crate) fn add_address(
    socket: &mut RouteSocket,
    index: u32,
    address: Ipv4Addr,
    subnet: Subnet,
) -> Result<(), Errno> {
    socket.create(RouteNetlinkMessage::NewAddress(address_message(
        index, address, subnet,
    )))
}

/// Takes an address away from an interface.
pub(crate) fn remove_address(
    socket: &mut RouteSocket,
    index: u32,
    subnet: Subnet,
) -> Result<(), Errno> {
    let message = address_message(index, subnet.gateway(), subnet);
    socket.change(RouteNetlinkMessage::DelAddress(message))
}

fn address_message(index: u32, address: Ipv4Addr, subnet: Subnet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = subnet.prefix_length();
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(address.into()),
        AddressAttribute::Address(address.into()),
        AddressAttribute::Broadcast(subnet.broadcast()),
    ];
    message
}

/// Sends what has no route of its own to `gateway`.
pub(crate) fn add_default_route(socket: &mut RouteSocket, gateway: Ipv4Addr) -> Result<(), Errno> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    socket.create(RouteNetlinkMessage::NewRoute(message))
}
