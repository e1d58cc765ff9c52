//! Addresses: which network the bridge has, and which address of it an instance.

use std::fmt;
use std::net::Ipv4Addr;

use launch::InstanceId;

/// A range of IPv4 addresses, as a route has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    first: u32,
    last: u32,
}

impl Range {
    /// All addresses that share `prefix_length` bits with `address`; one of more than 32 bits is
    /// taken for 32.
    pub(crate) fn new(address: Ipv4Addr, prefix_length: u8) -> Self {
        let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
        let first = address.to_bits() & !host_bits;
        Self {
            first,
            last: first | host_bits,
        }
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The bridge's network: its own address, which is the instances' gateway, and how long the
/// prefix is that it shares with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    gateway: Ipv4Addr,
    prefix_length: u8,
}

impl Subnet {
    /// Of this length are the networks that are chosen here.
    const PREFIX_LENGTH: u8 = 16;
    /// The second byte of those: private addresses (RFC 1918) above those that podman begins
    /// with, and away from the lowest ones, which offices like.
    const CANDIDATES: std::ops::RangeInclusive<u8> = 90..=199;

    pub(crate) fn new(gateway: Ipv4Addr, prefix_length: u8) -> Self {
        Self {
            gateway,
            prefix_length,
        }
    }

    /// The first network of which the host uses nothing; `None` if it uses all.
    pub(crate) fn choose(used: &[Range]) -> Option<Self> {
        Self::CANDIDATES
            .map(|second| Self::new(Ipv4Addr::new(10, second, 0, 1), Self::PREFIX_LENGTH))
            .find(|subnet| !used.iter().any(|used| used.overlaps(subnet.range())))
    }

    /// The bridge's own address.
    pub(crate) fn gateway(self) -> Ipv4Addr {
        self.gateway
    }

    /// How many leading bits all its addresses share.
    pub(crate) fn prefix_length(self) -> u8 {
        self.prefix_length
    }

    /// The last address, to which everybody listens.
    pub(crate) fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.range().last)
    }

    /// Every address that an instance may have. Where the walk begins depends on the instance, so
    /// that an instance of the same name mostly gets the same one, and one that has just been
    /// given back is mostly not given out again.
    pub(crate) fn addresses(self, instance: &InstanceId) -> impl Iterator<Item = Ipv4Addr> {
        let Range { first, last } = self.range();
        // Without the first and the last, which stand for the network and for all in it.
        let count = u64::from((last - first).saturating_sub(1));
        let begin = hash(instance.as_str());
        (0..count)
            .map(move |step| (begin % count + step) % count)
            // Less than 2^32, as `count` is.
            .map(move |offset| Ipv4Addr::from_bits(first + 1 + offset as u32))
            .filter(move |address| *address != self.gateway)
    }

    fn range(self) -> Range {
        Range::new(self.gateway, self.prefix_length)
    }
}

/// As nftables and ip(8) take it.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Ipv4Addr::from_bits(self.range().first);
        write!(f, "{first}/{}", self.prefix_length)
    }
}

/// The name of the host's end of an instance's link, which is the lease of the address: no two
/// links of a network namespace have the same name, and this one is gone with its link.
pub(crate) fn link_name(address: Ipv4Addr) -> String {
    // 14 characters; an interface's name takes 15 (IFNAMSIZ).
    format!("jaula-{:08x}", address.to_bits())
}

/// The Ethernet address that goes with an address: locally administered, not multicast. With the
/// same one each time, neighbours that still remember an earlier instance reach the next one.
pub(crate) fn ethernet_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x6a, a, b, c, d]
}

/// FNV-1a (RFC 9923), of 64 bits: the same in every build, which std's is not promised to be.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn range(a: u8, b: u8, c: u8, prefix_length: u8) -> Range {
        Range::new(Ipv4Addr::new(10 * a, b, c, 0), prefix_length)
    }

    #[test]
    fn the_first_network_that_no_route_touches_is_chosen() {
        for (used, expected) in [
            (&[][..], Some("10.90.0.0/16")),
            (&[range(1, 89, 255, 24)], Some("10.90.0.0/16")),
            (&[range(1, 90, 7, 24)], Some("10.91.0.0/16")),
            (
                &[range(1, 90, 0, 16), range(1, 92, 0, 16)],
                Some("10.91.0.0/16"),
            ),
            (&[range(1, 64, 0, 10)], Some("10.128.0.0/16")),
            (&[range(1, 0, 0, 8)], None),
            (&[range(1, 90, 3, 32)], Some("10.91.0.0/16")),
        ] {
            let chosen = Subnet::choose(used).map(|subnet| subnet.to_string());
            assert_eq!(chosen.as_deref(), expected, "{used:?}");
        }
    }

    #[test]
    fn an_instance_may_have_each_address_of_a_small_network_but_three() {
        let subnet = Subnet::new(Ipv4Addr::new(10, 1, 2, 1), 29);
        let web = "web".parse().unwrap();
        let mut last_bytes: Vec<u8> = subnet.addresses(&web).map(|a| a.octets()[3]).collect();
        last_bytes.sort_unstable();
        assert_eq!(last_bytes, [2, 3, 4, 5, 6]);
        assert_eq!(subnet.broadcast(), Ipv4Addr::new(10, 1, 2, 7));
    }

    #[test]
    fn networks_without_room_give_no_address() {
        for prefix_length in [31, 32, 33, 255] {
            let subnet = Subnet::new(Ipv4Addr::new(10, 1, 2, 1), prefix_length);
            assert_eq!(subnet.addresses(&"web".parse().unwrap()).count(), 0);
        }
    }

    #[test]
    fn a_links_name_fits_and_tells_the_address() {
        let name = link_name(Ipv4Addr::new(10, 90, 1, 255));
        assert_eq!(name, "jaula-0a5a01ff");
        assert!(name.len() < 16);
    }

    proptest! {
        #[test]
        fn addresses_are_distinct_and_of_the_network(
            gateway: u32, prefix_length in 22u8..=30, name in "[a-z0-9]{1,12}",
        ) {
            let subnet = Subnet::new(Ipv4Addr::from_bits(gateway), prefix_length);
            let range = subnet.range();
            let mut seen = HashSet::new();
            for address in subnet.addresses(&name.parse().unwrap()) {
                prop_assert!(range.first < address.to_bits() && address.to_bits() < range.last);
                prop_assert!(address != subnet.gateway());
                prop_assert!(seen.insert(address));
            }
        }
    }
}
