//! `--publish`.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use launch::{Port, PublishedPort};

use super::Invalid;
use super::port_range::{port_range, protocol};

/// Where a port is published if no address is given. docker publishes on all of them.
pub const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const TAKES: &str = "takes [ADDRESS:][HOST-PORT:]PORT[/tcp|udp], as in 8080:80, and ranges, as in \
                     8000-8009:80-89";

/// `[ADDRESS:][HOST-PORT:]PORT[/PROTOCOL]`; a range stands for as many ports, in order. A range of
/// the host's for one port says which will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortsArg(pub Vec<PublishedPort>);

impl FromStr for PortsArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (ports, protocol) = protocol(given)?;
        let (rest, instance) = ports.rsplit_once(':').unwrap_or(("", ports));
        let (address, host) = match rest.rsplit_once(':') {
            // An IPv6 address has colons of its own, and so stands in brackets.
            Some((address, host)) if !rest.ends_with(']') => (address, host),
            _ if rest.ends_with(']') => {
                return Err(Invalid::new(
                    "behind an address stands HOST-PORT:PORT or :PORT",
                ));
            }
            _ => ("", rest),
        };
        let host_address = address_of(address)?;
        let instance = port_range(instance, TAKES)?;
        let host = match host {
            "" => None,
            host => Some(port_range(host, TAKES)?),
        };
        let published = |number, host_ports| PublishedPort {
            host_address,
            host_ports,
            port: Port { number, protocol },
        };
        let ports = instance.numbers();
        Ok(Self(match host {
            Some(host) if host.count() == instance.count() => {
                let hosts = host.singly().map(Some);
                ports
                    .zip(hosts)
                    .map(|(port, host)| published(port, host))
                    .collect()
            }
            Some(_) if instance.count() > 1 => {
                return Err(Invalid::new(
                    "the host's range has another length than the instance's",
                ));
            }
            host => ports.map(|port| published(port, host)).collect(),
        }))
    }
}

fn address_of(text: &str) -> Result<IpAddr, Invalid> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match (text, bare) {
        ("", _) => Ok(DEFAULT_ADDRESS),
        (_, Some(bare)) => bare.parse().map(IpAddr::V6).map_err(drop),
        (text, None) => text.parse().map(IpAddr::V4).map_err(drop),
    }
    .map_err(|()| Invalid::new("its address is as in 127.0.0.1 or [::1]"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `ADDRESS HOST-PORT PORT PROTOCOL` each.
    fn ports(given: &str) -> Result<Vec<String>, String> {
        let PortsArg(ports) = given.parse().map_err(|error: Invalid| error.to_string())?;
        let show = |port: &PublishedPort| {
            let host = port
                .host_ports
                .map_or("any".into(), |ports| ports.to_string());
            let Port { number, protocol } = port.port;
            format!("{} {host} {number} {protocol}", port.host_address)
        };
        Ok(ports.iter().map(show).collect())
    }

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (given, expected) in [
            ("80", &["127.0.0.1 any 80 tcp"][..]),
            (":80", &["127.0.0.1 any 80 tcp"]),
            ("8080:80", &["127.0.0.1 8080 80 tcp"]),
            ("8080:80/tcp", &["127.0.0.1 8080 80 tcp"]),
            ("53:53/udp", &["127.0.0.1 53 53 udp"]),
            ("0.0.0.0:8080:80", &["0.0.0.0 8080 80 tcp"]),
            ("10.0.0.1::80", &["10.0.0.1 any 80 tcp"]),
            ("[::1]:8080:80", &["::1 8080 80 tcp"]),
            ("[::]::80/udp", &[":: any 80 udp"]),
            (
                "8000-8001:80-81",
                &["127.0.0.1 8000 80 tcp", "127.0.0.1 8001 81 tcp"],
            ),
            ("8000-8009:80", &["127.0.0.1 8000-8009 80 tcp"]),
            ("80-81", &["127.0.0.1 any 80 tcp", "127.0.0.1 any 81 tcp"]),
            ("65535:65535", &["127.0.0.1 65535 65535 tcp"]),
        ] {
            assert_eq!(ports(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused_with_what_it_takes() {
        for (given, says) in [
            ("", "takes [ADDRESS:]"),
            ("web", "takes [ADDRESS:]"),
            ("8080:", "takes [ADDRESS:]"),
            ("+80", "takes [ADDRESS:]"),
            ("80/", "tcp or udp"),
            ("80/sctp", "tcp or udp"),
            ("0", "1 to 65535"),
            ("8080:0", "1 to 65535"),
            ("0:80", "1 to 65535"),
            ("65536", "1 to 65535"),
            ("8001-8000:80-81", "smaller to the larger"),
            ("8000:80-81", "another length"),
            ("8000-8002:80-81", "another length"),
            ("localhost:80:80", "its address"),
            ("::1:80:80", "its address"),
            ("[127.0.0.1]:80:80", "its address"),
            ("[::1]:80", "behind an address"),
        ] {
            let said = ports(given).unwrap_err();
            assert!(said.contains(says), "{given}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given in "\\PC*|[0-9:./\\[\\]-]*") {
            let _ = given.parse::<PortsArg>();
        }
    }
}
