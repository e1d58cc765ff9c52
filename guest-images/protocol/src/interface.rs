use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The how manieth of the guest's virtio devices, from 0 on, its network interface is, or would
/// be: the place is there in every machine, and empty in one without a network.
pub const NETWORK_PLACE: u8 = 3;

/// A network interface of a guest. The longest packet that its network takes is in the device's
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its Ethernet address.
    pub ethernet_address: [u8; 6],
    /// Its address.
    pub address: Ipv4Addr,
    /// How many leading bits of their addresses it and those share that it reaches directly.
    pub prefix_length: u8,
    /// Who passes on what is for others.
    pub gateway: Ipv4Addr,
}

impl Interface {
    /// The bits that the addresses share, as a netmask; a prefix of more than 32 bits is taken for
    /// 32.
    pub fn netmask(&self) -> [u8; 4] {
        let host_bits = u32::MAX.checked_shr(self.prefix_length.into());
        (!host_bits.unwrap_or(0)).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netmask_has_as_many_bits_as_the_prefix() {
        for (prefix_length, netmask) in [
            (0, [0, 0, 0, 0]),
            (16, [255, 255, 0, 0]),
            (30, [255, 255, 255, 252]),
            (32, [255; 4]),
            (255, [255; 4]),
        ] {
            let interface = Interface {
                ethernet_address: [2, 0, 0, 0, 0, 1],
                address: Ipv4Addr::LOCALHOST,
                prefix_length,
                gateway: Ipv4Addr::LOCALHOST,
            };
            assert_eq!(interface.netmask(), netmask);
        }
    }
}
