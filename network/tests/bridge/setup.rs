//! What is made, and what is left.

use std::thread;

use network::{BRIDGE, Bridge};
use nix::sched::{CloneFlags, setns};
use std::fs::File;

use crate::lab::{Lab, ip, publish, tool};
use launch::Protocol::Tcp;
use std::net::Ipv4Addr;

#[test]
fn the_bridge_gets_a_network_that_no_route_touches() {
    let Some(_lab) = Lab::new() else { return };
    ip("route add 10.90.3.0/24 via 192.0.2.2");
    let bridge = Bridge::open().unwrap();
    assert_eq!(bridge.gateway(), Ipv4Addr::new(10, 91, 0, 1));
}

#[test]
fn a_bridge_that_is_there_is_used_as_it_is() {
    let Some(lab) = Lab::new() else { return };
    ip("link add jaula0 type bridge");
    ip("addr add 10.7.7.1/30 dev jaula0");
    let mut bridge = Bridge::open().unwrap();
    let instance = lab.instance(&mut bridge, "web", &[]);
    assert_eq!(instance.connection.address(), Ipv4Addr::new(10, 7, 7, 2));
    let mut namespace = crate::lab::new_namespace();
    let error = bridge
        .connect(&mut namespace, &"two".parse().unwrap(), None)
        .unwrap_err();
    assert_eq!(error.to_string(), "no address of 10.7.7.0/30 is free");
}

#[test]
fn a_bridge_that_is_opened_by_many_at_once_is_one() {
    let Some(_lab) = Lab::new() else { return };
    let host = File::open("/proc/thread-self/ns/net").unwrap();
    let gateways: Vec<_> = thread::scope(|scope| {
        let open = || {
            setns(&host, CloneFlags::CLONE_NEWNET).unwrap();
            Bridge::open().unwrap().gateway()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(gateways, [Ipv4Addr::new(10, 90, 0, 1); 8]);
    let addresses = tool("ip", "-4 -o addr show dev jaula0");
    assert_eq!(addresses.lines().count(), 1, "{addresses}");
}

#[test]
fn rules_that_somebody_flushed_are_made_again() {
    let Some(_lab) = Lab::new() else { return };
    Bridge::open().unwrap();
    let before = tool("nft", "list ruleset");
    tool("nft", "flush ruleset");
    Bridge::open().unwrap();
    assert_eq!(tool("nft", "list ruleset"), before);
}

#[test]
fn an_instance_that_is_gone_leaves_the_bridge_only() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let before = (tool("nft", "list ruleset"), tool("ip", "-o link"));
    let ports = [publish(Ipv4Addr::LOCALHOST, None, 80, Tcp)];
    let instance = lab.instance(&mut bridge, "web", &ports);
    let link = instance.connection.link_name().to_owned();
    assert!(tool("ip", "-o link").contains(&link));
    assert!(tool("nft", "list ruleset").contains("dnat"));
    drop(instance);
    let carrier_gone = |links: String| links.replace("LOWER_UP", "").replace("NO-CARRIER", "");
    assert_eq!(tool("nft", "list ruleset"), before.0);
    let names = |links: &str| -> Vec<String> {
        let name = |line: &str| line.split(": ").nth(1).unwrap_or_default().to_owned();
        carrier_gone(links.to_owned()).lines().map(name).collect()
    };
    assert_eq!(names(&tool("ip", "-o link")), names(&before.1));
    assert!(names(&before.1).iter().any(|name| name == BRIDGE));
}

#[test]
fn the_bridge_takes_no_longer_packets_when_its_last_instance_is_gone() {
    let Some(lab) = Lab::new() else { return };
    ip("link set outside mtu 1400");
    for name in ["web", "db"] {
        let mut bridge = Bridge::open().unwrap();
        let instance = lab.instance(&mut bridge, name, &[]);
        for link in [BRIDGE, instance.connection.link_name()] {
            let shown = tool("ip", &format!("-o link show {link}"));
            assert!(shown.contains("mtu 1400"), "{shown}");
        }
    }
}

#[test]
fn the_same_name_gets_the_same_address_when_it_is_free() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let address = |bridge: &mut Bridge, name| {
        let instance = lab.instance(bridge, name, &[]);
        instance.connection.address()
    };
    let first = address(&mut bridge, "web");
    assert_eq!(address(&mut bridge, "web"), first);
    assert_ne!(address(&mut bridge, "db"), first);
}
