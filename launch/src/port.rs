//! Ports, of instances and of the host.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of an instance's; shown as `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What it carries.
    pub protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Numbers of ports, at least one; shown as `80` or `8000-8009`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// What is no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPortRange {
    /// 0 stands for no port.
    #[error("a port is a number from 1 to 65535")]
    Zero,
    /// It ends before it begins.
    #[error("a range goes from the smaller to the larger port")]
    Backwards,
}

impl PortRange {
    /// From `first` to `last`, both included.
    ///
    /// # Errors
    ///
    /// When one of them is 0, or the first is larger than the last.
    pub fn new(first: u16, last: u16) -> Result<Self, InvalidPortRange> {
        match (first, last) {
            (0, _) | (_, 0) => Err(InvalidPortRange::Zero),
            _ if first > last => Err(InvalidPortRange::Backwards),
            _ => Ok(Self { first, last }),
        }
    }

    /// How many there are, at most 65535.
    pub fn count(self) -> u16 {
        self.last - self.first + 1
    }

    /// Each as a range of its own, the smallest first.
    pub fn singly(self) -> impl Iterator<Item = Self> {
        self.numbers().map(|number| Self {
            first: number,
            last: number,
        })
    }

    /// Each, the smallest first.
    pub fn numbers(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = InvalidPortRange;

    fn try_from((first, last): (u16, u16)) -> Result<Self, InvalidPortRange> {
        Self::new(first, last)
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first != self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// A port of the instance that the host is asked to forward to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address at which it is found.
    pub host_address: IpAddr,
    /// The host's port: the first one of these that is free; any free one if none are given.
    pub host_ports: Option<PortRange>,
    /// The instance's port.
    pub port: Port,
}

/// A port of the instance that the host forwards to; shown as `127.0.0.1:8080->80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address and port.
    pub host: SocketAddr,
    /// The instance's port.
    pub port: Port,
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_port_and_no_zero() {
        for (first, last, expected) in [
            (80, 80, Ok((1, "80"))),
            (8000, 8009, Ok((10, "8000-8009"))),
            (1, 65535, Ok((65535, "1-65535"))),
            (0, 1, Err(InvalidPortRange::Zero)),
            (1, 0, Err(InvalidPortRange::Zero)),
            (2, 1, Err(InvalidPortRange::Backwards)),
        ] {
            let range = PortRange::new(first, last);
            let seen = range.map(|range| (range.count(), range.to_string()));
            let expected = expected.map(|(count, text)| (count, text.to_owned()));
            assert_eq!(seen, expected, "{first}-{last}");
        }
    }

    #[test]
    fn a_mapping_is_shown_as_docker_shows_it() {
        let port = Port {
            number: 80,
            protocol: Protocol::Tcp,
        };
        let shown = ["127.0.0.1:8080", "[::1]:8080"].map(|host| {
            let host = host.parse().unwrap();
            PortMapping { host, port }.to_string()
        });
        assert_eq!(shown, ["127.0.0.1:8080->80/tcp", "[::1]:8080->80/tcp"]);
    }
}
