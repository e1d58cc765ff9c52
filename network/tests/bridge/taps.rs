//! Taps, which have an end that is no network namespace.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use network::{BRIDGE, Bridge, Tap};

use crate::lab::{Lab, ip, new_namespace, tool};

/// The header before each frame as the kernel has it if nobody asks for another
/// (`struct virtio_net_hdr`).
const HEADER_BYTES: usize = 10;

/// The Ethernet address of the bridge.
const BRIDGE_ADDRESS: [u8; 6] = [2, 0x6a, 0, 0, 0, 0];

/// Asks the bridge for its Ethernet address, as `address` (RFC 826); the answer's.
fn resolve(tap: &Tap, ethernet_address: [u8; 6], address: [u8; 4], gateway: [u8; 4]) -> [u8; 6] {
    let mut file = File::from(tap.as_fd().try_clone_to_owned().unwrap());
    let mut frame = vec![0; HEADER_BYTES];
    frame.extend([0xff; 6]);
    frame.extend(ethernet_address);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(ethernet_address);
    frame.extend(address);
    frame.extend([0; 6]);
    frame.extend(gateway);
    file.write_all(&frame).unwrap();
    loop {
        let mut frame = [0; 2048];
        let bytes = file.read(&mut frame).unwrap();
        let frame = &frame[HEADER_BYTES..bytes];
        let is_answer = frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
        if is_answer && frame[..6] == ethernet_address {
            return frame[22..28].try_into().unwrap();
        }
    }
}

#[test]
fn a_tap_is_a_port_of_the_bridge_and_has_an_address() {
    let Some(_lab) = Lab::new() else { return };
    ip("link set outside mtu 1400");
    let mut bridge = Bridge::open().unwrap();
    let (connection, tap) = bridge.connect_tap(&"web".parse().unwrap()).unwrap();
    let link = tool("ip", &format!("-o link show {}", connection.link_name()));
    for expected in [&format!("master {BRIDGE}"), "UP", "mtu 1400", "alias web"] {
        assert!(link.contains(expected), "{expected:?} is not in {link}");
    }
    let answer = resolve(
        &tap,
        connection.ethernet_address(),
        connection.address().octets(),
        bridge.gateway().octets(),
    );
    assert_eq!(answer, BRIDGE_ADDRESS);
}

#[test]
fn taps_and_namespaces_share_no_address() {
    let Some(lab) = Lab::new() else { return };
    ip("link add jaula0 type bridge");
    ip("addr add 10.7.7.1/29 dev jaula0");
    let mut bridge = Bridge::open().unwrap();
    let mut addresses = Vec::new();
    let first = lab.instance(&mut bridge, "one", &[]);
    addresses.push(first.connection.address());
    let taps: Vec<_> = (0..4)
        .map(|_| bridge.connect_tap(&"one".parse().unwrap()).unwrap())
        .collect();
    addresses.extend(taps.iter().map(|(connection, _)| connection.address()));
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 5);
    let none_left = "no address of 10.7.7.0/29 is free";
    let error = bridge.connect_tap(&"two".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), none_left);
    let error = bridge.connect(&mut new_namespace(), &"two".parse().unwrap(), None);
    assert_eq!(error.unwrap_err().to_string(), none_left);
}

#[test]
fn a_tap_that_nobody_has_open_is_gone() {
    let Some(_lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let (connection, tap) = bridge.connect_tap(&"web".parse().unwrap()).unwrap();
    let name = connection.link_name().to_owned();
    // As if nobody had been left to do it.
    std::mem::forget(connection);
    assert!(tool("ip", "-o link").contains(&name));
    drop(tap);
    assert!(!tool("ip", "-o link").contains(&name));
}
