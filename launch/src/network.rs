use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{PortMapping, PublishedPort};

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

/// Where an instance is found that has a network of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// How many leading bits of it all have that it reaches without a gateway.
    pub prefix_length: u8,
    /// The address by which it reaches everything else.
    pub gateway: IpAddr,
    /// The ports that lead to it.
    pub ports: Vec<PortMapping>,
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
