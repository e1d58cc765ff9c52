//! Ports of the host's that lead to an instance.
//!
//! The packet filter would forward a port that somebody else listens on, too, and somebody could
//! begin to listen on one that is forwarded. So a socket of ours holds it as long as the instance
//! lives: the kernel then tells whoever comes second.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use launch::{Port, PortRange, Protocol, PublishedPort};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn, bind, getsockname, listen,
    setsockopt, shutdown, socket, sockopt,
};

use crate::error::Error;
use crate::rules::Forward;

/// A port that nobody else can have as long as this lives.
#[derive(Debug)]
pub(crate) struct HeldPort {
    pub(crate) forward: Forward,
    _socket: OwnedFd,
}

impl HeldPort {
    /// Takes the first port that is free of those that will do.
    pub(crate) fn take(published: &PublishedPort) -> Result<Self, Error> {
        let PublishedPort {
            host_address,
            host_ports,
            port: Port { number, protocol },
        } = *published;
        let IpAddr::V4(host_address) = host_address else {
            return Err(Error::NotIpv4(host_address));
        };
        let (socket, host_port) =
            hold_one_of(host_address, host_ports, protocol).map_err(|source| Error::Port {
                address: host_address.into(),
                ports: host_ports,
                protocol,
                source,
            })?;
        Ok(Self {
            forward: Forward {
                host_address,
                host_port,
                instance_port: number,
                protocol,
            },
            _socket: socket,
        })
    }
}

fn hold_one_of(
    address: Ipv4Addr,
    ports: Option<PortRange>,
    protocol: Protocol,
) -> Result<(OwnedFd, u16), Errno> {
    let Some(ports) = ports else {
        // The kernel chooses one.
        return hold(address, 0, protocol);
    };
    for port in ports.numbers() {
        match hold(address, port, protocol) {
            Err(Errno::EADDRINUSE) => {}
            held => return held,
        }
    }
    Err(Errno::EADDRINUSE)
}

fn hold(address: Ipv4Addr, port: u16, protocol: Protocol) -> Result<(OwnedFd, u16), Errno> {
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let bound = |port| {
        let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        if protocol == Protocol::Tcp {
            // Connections of an earlier listener that are over but not forgotten don't count.
            setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        }
        let address = SockaddrIn::from(SocketAddrV4::new(address, port));
        bind(socket.as_raw_fd(), &address)?;
        let port = getsockname::<SockaddrIn>(socket.as_raw_fd())?.port();
        Ok::<_, Errno>((socket, port))
    };
    let (first, port) = bound(port)?;
    if protocol == Protocol::Udp {
        return Ok((first, port));
    }
    // If the kernel chose the port, a shutdown frees it; not if it was asked for by its number.
    let (socket, port) = bound(port)?;
    drop(first);
    refuse_others(&socket)?;
    Ok((socket, port))
}

/// Who doesn't mind sharing the socket's port can't bind to it from now on, and who comes before
/// it is forwarded is refused: to a socket that listens, they would be connected for good.
fn refuse_others(socket: &OwnedFd) -> Result<(), Errno> {
    listen(socket, Backlog::new(0)?)?;
    // Not before: what is over but not forgotten would be in the way.
    setsockopt(socket, sockopt::ReuseAddr, &false)?;
    shutdown(socket.as_raw_fd(), Shutdown::Read)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn published(host_address: &str, host_port: Option<u16>, protocol: Protocol) -> PublishedPort {
        PublishedPort {
            host_address: host_address.parse().unwrap(),
            host_ports: host_port.map(|port| PortRange::new(port, port).unwrap()),
            port: Port {
                number: 80,
                protocol,
            },
        }
    }

    #[test]
    fn a_port_that_is_held_can_not_be_had_again() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let held = HeldPort::take(&published("127.0.0.1", None, protocol)).unwrap();
            let port = held.forward.host_port;
            for address in ["127.0.0.1", "0.0.0.0"] {
                let again = HeldPort::take(&published(address, Some(port), protocol));
                let said = again.unwrap_err().to_string();
                assert_eq!(
                    said,
                    format!("can't publish on {address}, port {port}/{protocol}")
                );
            }
        }
    }

    #[test]
    fn who_connects_to_a_port_that_is_not_forwarded_yet_is_refused() {
        let held = HeldPort::take(&published("127.0.0.1", None, Protocol::Tcp)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], held.forward.host_port));
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_port_that_somebody_listens_on_can_not_be_had() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(HeldPort::take(&published("127.0.0.1", Some(port), Protocol::Tcp)).is_err());
    }

    #[test]
    fn nobody_can_listen_on_a_port_that_is_held() {
        let held = HeldPort::take(&published("127.0.0.1", None, Protocol::Tcp)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], held.forward.host_port));
        assert!(TcpListener::bind(address).is_err());
        let held = HeldPort::take(&published("127.0.0.1", None, Protocol::Udp)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], held.forward.host_port));
        assert!(UdpSocket::bind(address).is_err());
    }

    /// Two ports that follow each other.
    fn adjacent() -> (HeldPort, HeldPort) {
        loop {
            let first = HeldPort::take(&published("127.0.0.1", None, Protocol::Udp)).unwrap();
            let next = Some(first.forward.host_port + 1);
            if let Ok(second) = HeldPort::take(&published("127.0.0.1", next, Protocol::Udp)) {
                return (first, second);
            }
        }
    }

    #[test]
    fn of_several_ports_the_first_free_one_is_taken() {
        let (first, second) = adjacent();
        let ports = [&first, &second].map(|held| held.forward.host_port);
        let either = PublishedPort {
            host_ports: Some(PortRange::new(ports[0], ports[1]).unwrap()),
            ..published("127.0.0.1", None, Protocol::Udp)
        };
        let said = HeldPort::take(&either).unwrap_err().to_string();
        let expected = format!("port {}-{}/udp", ports[0], ports[1]);
        assert!(said.ends_with(&expected), "{said}");
        drop(second);
        let held = HeldPort::take(&either).unwrap();
        assert_eq!(held.forward.host_port, ports[1]);
    }

    #[test]
    fn an_ipv6_address_is_refused() {
        let error = HeldPort::take(&published("::1", Some(80), Protocol::Tcp)).unwrap_err();
        assert!(matches!(error, Error::NotIpv4(_)));
    }
}
