use std::net::IpAddr;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, InvalidResource, InvalidSize, PortMapping, PublishedPort};

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
        /// How much passes each way at most; as much as can if it is not given.
        rate: Option<NetworkRate>,
    },
}

impl Network {
    /// How much passes at most, if that is limited.
    pub fn rate(&self) -> Option<NetworkRate> {
        match self {
            Self::Bridge { rate, .. } => *rate,
            Self::None | Self::Host => None,
        }
    }
}

/// Most bytes a second that an instance sends, and as many that it receives. Bytes of Ethernet frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRate(NonZeroU64);

impl NetworkRate {
    /// Below this a connection does not even begin before its other end gives up.
    const MIN_BYTES_PER_S: u64 = 1 << 10;

    /// In bytes a second.
    pub fn bytes_per_s(self) -> NonZeroU64 {
        self.0
    }
}

/// In the notation of [`ByteSize`].
impl FromStr for NetworkRate {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        let refuse = |why| InvalidResource {
            what: "network rate",
            given: given.to_owned(),
            why,
        };
        let ByteSize(bytes) = given.parse().map_err(|InvalidSize(why)| refuse(why))?;
        NonZeroU64::new(bytes)
            .filter(|bytes| bytes.get() >= Self::MIN_BYTES_PER_S)
            .map(Self)
            .ok_or_else(|| refuse("the smallest rate is 1k"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_size_that_something_can_be_done_with() {
        for (given, bytes_per_s) in [
            ("1k", Some(1 << 10)),
            ("10m", Some(10 << 20)),
            ("1gb", Some(1 << 30)),
            ("1023", None),
            ("0", None),
            ("10x", None),
            ("-1", None),
        ] {
            let rate = given
                .parse()
                .ok()
                .map(|rate: NetworkRate| rate.bytes_per_s().get());
            assert_eq!(rate, bytes_per_s, "{given}");
        }
    }
}
