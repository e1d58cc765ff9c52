//! Who reaches whom.

use std::net::Ipv4Addr;

use network::Bridge;

use crate::lab::{HOST, Lab, WORLD, ask_tcp, inside, ip, serve_tcp, tool};

#[test]
fn instances_reach_each_other() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    let db = lab.instance(&mut bridge, "db", &[]);
    inside(&db.namespace, || serve_tcp(5432));
    let to = (db.connection.address(), 5432);
    let said = inside(&web.namespace, || ask_tcp(to));
    assert_eq!(said, Some(web.connection.address().to_string()));
}

#[test]
fn an_instance_reaches_the_world_with_the_hosts_address() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    inside(&lab.world, || serve_tcp(80));
    let said = inside(&web.namespace, || ask_tcp((WORLD, 80)));
    assert_eq!(said, Some(HOST.to_string()));
}

#[test]
fn an_instance_reaches_the_host_by_its_gateway() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    serve_tcp(80);
    let to = (bridge.gateway(), 80);
    let said = inside(&web.namespace, || ask_tcp(to));
    assert_eq!(said, Some(web.connection.address().to_string()));
}

#[test]
fn the_world_reaches_no_instance_through_the_host() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    inside(&web.namespace, || serve_tcp(80));
    let to = (web.connection.address(), 80);
    let said = inside(&lab.world, || {
        ip(&format!("route add 10.90.0.0/16 via {HOST}"));
        ask_tcp(to)
    });
    assert_eq!(said, None);
}

/// CVE-2020-8558: `route_localnet` lets who is on the link send to the host's loopback network.
#[test]
fn an_instance_does_not_reach_what_listens_on_the_hosts_loopback() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    serve_tcp(80);
    let gateway = bridge.gateway();
    let said = inside(&web.namespace, || {
        // What root can do with raw packets, done by the kernel.
        tool("sysctl", "-qw net.ipv4.conf.eth0.route_localnet=1");
        ip("addr del 127.0.0.1/8 dev lo");
        ip("rule add pref 1 lookup local");
        ip("route flush table local type broadcast");
        ip(&format!(
            "route replace 127.0.0.1/32 via {gateway} dev eth0"
        ));
        ask_tcp((Ipv4Addr::LOCALHOST, 80))
    });
    assert_eq!(said, None);
}

#[test]
fn an_instance_may_listen_on_low_ports_whoever_it_is() {
    let Some(lab) = Lab::new() else { return };
    let mut bridge = Bridge::open().unwrap();
    let web = lab.instance(&mut bridge, "web", &[]);
    let first = inside(&web.namespace, || {
        tool("sysctl", "-n net.ipv4.ip_unprivileged_port_start")
    });
    assert_eq!(first, "0\n");
}
