//! The network interface, which the host puts in its place when it is known what to run.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use guest_protocol::{Interface, NETWORK_PLACE};
use rustix::fs::{Mode, mkdir};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::fatal::Fatal;
use crate::vacancies;

/// The driver gives the first interface this name.
const NAME: &[u8] = b"eth0";

/// There once the interface was found.
const SETTLED: &str = "/network";

/// What docker lets every user in a network namespace of its own do: listen on any port, and ping.
const SETTINGS: [(&str, &str); 2] = [
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// Finds the interface and gives it its addresses and the way out. In a machine that was saved
/// with one, those that it had are replaced.
pub(crate) fn connect(interface: &Interface) -> Result<(), Fatal> {
    find().map_err(Fatal::when("looking for the network interface"))?;
    configure(interface).map_err(Fatal::when("setting up the network interface"))
}

/// Finds the interface in its place; nothing, if that was done before.
fn find() -> io::Result<()> {
    if Path::new(SETTLED).exists() {
        return Ok(());
    }
    vacancies::mount_sysfs()?;
    vacancies::probe(NETWORK_PLACE)?;
    mkdir(SETTLED, Mode::RWXU)?;
    SETTINGS
        .into_iter()
        .try_for_each(|(setting, value)| fs::write(setting, value))
}

/// As netdevice(7) and route(4) say.
pub(crate) fn configure(interface: &Interface) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let Interface {
        ethernet_address,
        address,
        gateway,
        ..
    } = interface;
    // While it is down, no route of another address is left.
    set_flags(&socket, 0)?;
    let ethernet = socket_address(libc::ARPHRD_ETHER, 0, ethernet_address);
    set_address(&socket, libc::SIOCSIFHWADDR, ethernet)?;
    set_address(&socket, libc::SIOCSIFADDR, internet(address.octets()))?;
    set_address(&socket, libc::SIOCSIFNETMASK, internet(interface.netmask()))?;
    set_flags(&socket, libc::IFF_UP)?;
    add_default_route(&socket, internet(gateway.octets()))
}

fn internet(address: [u8; 4]) -> libc::sockaddr {
    // Behind the port.
    socket_address(libc::AF_INET as u16, 2, &address)
}

fn socket_address(family: u16, offset: usize, bytes: &[u8]) -> libc::sockaddr {
    let mut address = libc::sockaddr {
        sa_family: family,
        sa_data: [0; 14],
    };
    for (to, from) in address.sa_data[offset..].iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    address
}

fn set_flags(socket: &OwnedFd, flags: libc::c_int) -> io::Result<()> {
    let mut request = request();
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    ask(socket, libc::SIOCSIFFLAGS, &request)
}

fn set_address(socket: &OwnedFd, what: libc::c_ulong, address: libc::sockaddr) -> io::Result<()> {
    let mut request = request();
    request.ifr_ifru.ifru_addr = address;
    ask(socket, what, &request)
}

fn request() -> libc::ifreq {
    // SAFETY: `ifreq` is a C structure of integers, of which all zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME) {
        *to = *from as libc::c_char;
    }
    request
}

fn add_default_route(socket: &OwnedFd, gateway: libc::sockaddr) -> io::Result<()> {
    // SAFETY: `rtentry` is a C structure of integers and pointers, of which all zeros is a valid
    // one.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = internet([0; 4]);
    route.rt_genmask = internet([0; 4]);
    route.rt_gateway = gateway;
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    ask(socket, libc::SIOCADDRT, &route)
}

/// `what` is a request that reads a `T`.
fn ask<T>(socket: &OwnedFd, what: libc::c_ulong, request: &T) -> io::Result<()> {
    // SAFETY: the callers, all in this module, pass the type that the request reads, which lives
    // through the call; the descriptor is open.
    match unsafe { libc::ioctl(socket.as_raw_fd(), what, request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
