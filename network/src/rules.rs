//! What the packet filter is told, in the language of nft(8). Two kinds of tables: one that all
//! instances of the bridge share, and one an instance with published ports, whose name is all
//! that is needed to remove it.
//!
//! A script removes what it makes first, in the same transaction: what a crash left, or another
//! run made meanwhile, is no obstacle.

use std::fmt::Write;
use std::net::Ipv4Addr;

use host::packet_filter::instance_table;
use launch::{Port, PortMapping, Protocol};

use crate::bridge::NAME;
use crate::subnet::Subnet;

/// The table that all instances of the bridge share.
pub(crate) const SHARED_TABLE: &str = "jaula";

/// A port that leads to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) host_address: Ipv4Addr,
    pub(crate) host_port: u16,
    pub(crate) instance_port: u16,
    pub(crate) protocol: Protocol,
}

impl Forward {
    pub(crate) fn mapping(&self) -> PortMapping {
        PortMapping {
            host: (self.host_address, self.host_port).into(),
            port: Port {
                number: self.instance_port,
                protocol: self.protocol,
            },
        }
    }
}

/// What the bridge needs, whoever is on it.
pub(crate) fn shared(subnet: Subnet) -> String {
    // `guard`: the bridge routes addresses of the loopback network, for the sake of ports
    // published there, so an instance could reach what listens on the host's loopback interface
    // only (CVE-2020-8558).
    // `forward`: an instance is reached from outside by its published ports only; a neighbour of
    // the host's could otherwise make the host its way to the instances.
    // `leave`: what goes out has the host's address. What comes back in by a published port from
    // the host's loopback or from an instance has it too, or its answer would not pass here.
    fresh_table(
        SHARED_TABLE,
        &format!(
            "\
\tchain guard {{
\t\ttype filter hook prerouting priority -300; policy accept;
\t\tiifname \"{NAME}\" ip daddr 127.0.0.0/8 drop
\t}}
\tchain forward {{
\t\ttype filter hook forward priority 0; policy accept;
\t\toifname != \"{NAME}\" accept
\t\tiifname \"{NAME}\" accept
\t\tct state established,related accept
\t\tct status dnat accept
\t\tdrop
\t}}
\tchain leave {{
\t\ttype nat hook postrouting priority 100; policy accept;
\t\tip saddr {subnet} oifname != \"{NAME}\" masquerade
\t\tip saddr {{ 127.0.0.0/8, {subnet} }} oifname \"{NAME}\" ct status dnat masquerade
\t}}
"
        ),
    )
}

/// The published ports of the instance that has `address`.
pub(crate) fn of_instance(address: Ipv4Addr, forwards: &[Forward]) -> String {
    let mut from_outside = String::new();
    let mut from_host = String::new();
    for forward in forwards {
        let rule = rule(address, forward);
        // What is addressed to the loopback network comes from the host itself only.
        if !forward.host_address.is_loopback() {
            from_outside.push_str(&rule);
        }
        from_host.push_str(&rule);
    }
    fresh_table(
        &instance_table(address),
        &format!(
            "\
\tchain outside {{
\t\ttype nat hook prerouting priority -100; policy accept;
{from_outside}\t}}
\tchain host {{
\t\ttype nat hook output priority -100; policy accept;
{from_host}\t}}
"
        ),
    )
}

fn rule(address: Ipv4Addr, forward: &Forward) -> String {
    let Forward {
        host_address,
        host_port,
        instance_port,
        protocol,
    } = forward;
    let mut rule = String::from("\t\t");
    // Writing to a string does not fail.
    let _ = match host_address {
        &Ipv4Addr::UNSPECIFIED => write!(rule, "fib daddr type local"),
        host_address => write!(rule, "ip daddr {host_address}"),
    };
    let _ = writeln!(
        rule,
        " {protocol} dport {host_port} dnat to {address}:{instance_port}"
    );
    rule
}

fn fresh_table(name: &str, chains: &str) -> String {
    format!("add table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n{chains}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(host_address: [u8; 4], host_port: u16, protocol: Protocol) -> Forward {
        Forward {
            host_address: host_address.into(),
            host_port,
            instance_port: 80,
            protocol,
        }
    }

    #[test]
    fn each_way_to_a_published_port_has_its_rule() {
        let script = of_instance(
            Ipv4Addr::new(10, 90, 1, 2),
            &[
                forward([127, 0, 0, 1], 8080, Protocol::Tcp),
                forward([0, 0, 0, 0], 53, Protocol::Udp),
                forward([192, 0, 2, 1], 443, Protocol::Tcp),
            ],
        );
        let expected = "\
add table ip jaula-10.90.1.2
delete table ip jaula-10.90.1.2
table ip jaula-10.90.1.2 {
\tchain outside {
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tfib daddr type local udp dport 53 dnat to 10.90.1.2:80
\t\tip daddr 192.0.2.1 tcp dport 443 dnat to 10.90.1.2:80
\t}
\tchain host {
\t\ttype nat hook output priority -100; policy accept;
\t\tip daddr 127.0.0.1 tcp dport 8080 dnat to 10.90.1.2:80
\t\tfib daddr type local udp dport 53 dnat to 10.90.1.2:80
\t\tip daddr 192.0.2.1 tcp dport 443 dnat to 10.90.1.2:80
\t}
}
";
        assert_eq!(script, expected);
    }

    #[test]
    fn the_shared_table_names_the_bridges_network() {
        let script = shared(Subnet::new(Ipv4Addr::new(10, 90, 0, 1), 16));
        assert!(script.contains("ip saddr 10.90.0.0/16 oifname != \"jaula0\" masquerade\n"));
    }
}
