//! `--expose`, and the ports of an image's configuration.

use std::str::FromStr;

use launch::Port;

use super::Invalid;
use super::port_range::{port_range, protocol};

const TAKES: &str = "takes PORT[/tcp|udp], as in 80, and ranges, as in 8000-8009/udp";

/// `PORT[/PROTOCOL]`; a range stands for as many ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPortsArg(pub Vec<Port>);

/// `PORT[/PROTOCOL]`, as an image says it, too (OCI image specification, `ExposedPorts`).
pub fn instance_port(given: &str) -> Result<Port, Invalid> {
    let (port, protocol) = protocol(given)?;
    // An image is not to choose how many there are.
    let mut numbers = port_range(port, TAKES)?.numbers();
    match (numbers.next(), numbers.next()) {
        (Some(number), None) => Ok(Port { number, protocol }),
        _ => Err(Invalid::new("it is more than one port")),
    }
}

impl FromStr for ExposedPortsArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (ports, protocol) = protocol(given)?;
        let ports = port_range(ports, TAKES)?.numbers();
        Ok(Self(
            ports.map(|number| Port { number, protocol }).collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_port_is_meant_there_is_one() {
        assert_eq!(instance_port("53/udp").unwrap().to_string(), "53/udp");
        for (given, says) in [
            ("1-65535", "more than one"),
            ("80/sctp", "tcp or udp"),
            ("", "takes PORT"),
        ] {
            let said = instance_port(given).unwrap_err().to_string();
            assert!(said.contains(says), "{given}: {said}");
        }
    }

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (given, expected) in [
            ("80", Ok(&["80/tcp"][..])),
            ("80/tcp", Ok(&["80/tcp"])),
            ("53/udp", Ok(&["53/udp"])),
            ("8000-8001/udp", Ok(&["8000/udp", "8001/udp"])),
            ("", Err("takes PORT")),
            ("web", Err("takes PORT")),
            ("8080:80", Err("takes PORT")),
            ("0", Err("1 to 65535")),
            ("70000", Err("1 to 65535")),
            ("2-1", Err("smaller to the larger")),
            ("80/sctp", Err("tcp or udp")),
        ] {
            let read = given.parse().map(|ExposedPortsArg(ports)| ports);
            match (read, expected) {
                (Ok(ports), Ok(expected)) => {
                    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                    assert_eq!(ports, expected, "{given}");
                }
                (Err(error), Err(says)) => {
                    assert!(error.to_string().contains(says), "{given}: {error}");
                }
                (read, _) => panic!("{given}: {read:?}"),
            }
        }
    }
}
