//! Published ports.

use std::net::{Ipv4Addr, TcpListener};

use launch::Protocol::{Tcp, Udp};
use network::{Bridge, Reservation};

use crate::lab::{HOST, Lab, ask_tcp, ask_udp, inside, publish, serve_tcp, serve_udp};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn the_host_reaches_a_tcp_port_by_its_loopback() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(LOOPBACK, 8080, 80, Tcp)];
    let web = lab.instance(&mut bridge, "web", &ports);
    inside(&web.namespace, || serve_tcp(80));
    let said = ask_tcp((LOOPBACK, 8080));
    assert_eq!(said, Some(bridge.gateway().to_string()));
}

#[test]
fn the_host_reaches_a_udp_port_by_its_loopback() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(LOOPBACK, 5353, 53, Udp)];
    let dns = lab.instance(&mut bridge, "dns", &ports);
    inside(&dns.namespace, || serve_udp(53));
    let said = ask_udp((LOOPBACK, 5353));
    assert_eq!(said, Some(bridge.gateway().to_string()));
}

#[test]
fn the_world_reaches_ports_of_all_addresses() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(ANY, 8080, 80, Tcp), publish(ANY, 5353, 53, Udp)];
    let web = lab.instance(&mut bridge, "web", &ports);
    inside(&web.namespace, || (serve_tcp(80), serve_udp(53)));
    let said = inside(&lab.world, || {
        (ask_tcp((HOST, 8080)), ask_udp((HOST, 5353)))
    });
    // Whoever asks is seen by his own address.
    let world = Some("192.0.2.2".to_owned());
    assert_eq!(said, (world.clone(), world));
}

#[test]
fn the_host_reaches_a_port_of_all_addresses_by_each() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[publish(ANY, 8080, 80, Tcp)]);
    for address in [LOOPBACK, HOST, bridge.gateway()] {
        let serving = inside(&web.namespace, || serve_tcp(80));
        assert!(ask_tcp((address, 8080)).is_some(), "{address}");
        serving.join().unwrap();
    }
}

#[test]
fn instances_reach_a_published_port_too_even_their_own() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[publish(ANY, 8080, 80, Tcp)]);
    let other = lab.instance(&mut bridge, "other", &[]);
    for who in [&other, &web] {
        let serving = inside(&web.namespace, || serve_tcp(80));
        let said = inside(&who.namespace, || ask_tcp((HOST, 8080)));
        assert_eq!(said, Some(bridge.gateway().to_string()));
        serving.join().unwrap();
    }
}

#[test]
fn the_world_does_not_reach_a_port_of_the_loopback() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(LOOPBACK, 8080, 80, Tcp)];
    let web = lab.instance(&mut bridge, "web", &ports);
    inside(&web.namespace, || serve_tcp(80));
    let said = inside(&lab.world, || ask_tcp((HOST, 8080)));
    assert_eq!(said, None);
}

#[test]
fn a_port_that_is_not_given_is_chosen_and_told() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(LOOPBACK, None, 80, Tcp)];
    let web = lab.instance(&mut bridge, "web", &ports);
    let told: Vec<_> = web.publication.as_ref().unwrap().ports().collect();
    let [port] = told[..] else { panic!("{told:?}") };
    inside(&web.namespace, || serve_tcp(80));
    assert!(ask_tcp((LOOPBACK, port.host.port())).is_some());
}

#[test]
fn a_port_of_another_instance_is_taken_and_then_free() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let ports = [publish(LOOPBACK, 8080, 80, Tcp)];
    let web = lab.instance(&mut bridge, "web", &ports);
    assert!(Reservation::take(&ports).is_err());
    drop(web);
    assert!(Reservation::take(&ports).is_ok());
}

#[test]
fn a_port_that_somebody_listens_on_is_taken() {
    let Some(_lab) = Lab::new() else { return };
    let _listener = TcpListener::bind((LOOPBACK, 8080)).unwrap();
    let refused = Reservation::take(&[publish(ANY, 8080, 80, Tcp)]).map(drop);
    let said = refused.unwrap_err().to_string();
    assert_eq!(said, "can't publish on 0.0.0.0, port 8080/tcp");
}
