use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// A port of the instance that the host forwards to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address at which it is found.
    pub host_address: IpAddr,
    /// The host's port; any free one if none is given.
    pub host_port: Option<u16>,
    /// The instance's port.
    pub instance_port: u16,
    /// What it carries.
    pub protocol: Protocol,
}

/// What the instance is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Its own loopback interface.
    #[default]
    None,
    /// All that the launcher is connected to.
    Host,
    /// A bridge of the host's, behind address translation.
    Bridge {
        /// The ports that can be reached from outside.
        publish: Vec<PublishedPort>,
    },
}

/// A line of `/etc/hosts`: docker's `--add-host`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: HostAddress,
}

/// What an extra host's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAddress {
    /// This address.
    Address(IpAddr),
    /// The host, as the instance reaches it: docker's `host-gateway`.
    Gateway,
}

/// What the command resolves names with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Name servers, instead of the host's.
    pub servers: Vec<IpAddr>,
    /// More lines of `/etc/hosts`.
    pub hosts: Vec<ExtraHost>,
}
