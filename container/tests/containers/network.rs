//! What a container is connected to.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command as HostCommand;
use std::thread;
use std::time::Duration;

use launch::{
    ExtraHost, HostAddress, Network, Port, PortRange, Protocol, PublishedPort, Stdio, Workload,
};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use crate::world::World;

/// Does something on a host of its own, as far as networks go; if that can't be had, it is said.
fn on_a_host(act: impl FnOnce(World) + Send) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let up = HostCommand::new("ip")
                .args(["link", "set", "lo", "up"])
                .status();
            assert!(up.unwrap().success());
            act(World::new());
        });
    });
}

fn on_bridge(world: &World, argv: &[&str], publish: &[PublishedPort]) -> Workload {
    let mut workload = world.workload(argv);
    workload.network = Network::Bridge {
        publish: publish.to_vec(),
        rate: None,
    };
    workload
}

fn published(host_port: u16) -> PublishedPort {
    PublishedPort {
        host_address: Ipv4Addr::LOCALHOST.into(),
        host_ports: Some(PortRange::new(host_port, host_port).unwrap()),
        port: Port {
            number: 80,
            protocol: Protocol::Tcp,
        },
    }
}

fn tool(program: &str, words: &str) -> String {
    let output = HostCommand::new(program)
        .args(words.split(' '))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn on_the_bridge_there_is_an_address_a_way_out_and_a_name_for_it() {
    on_a_host(|world| {
        let script = "ip -4 -o addr show eth0 | awk '{print $4}'; ip route | head -n 1; \
                      grep -c \"$(hostname -i)\" /etc/hosts; ip link show lo | head -n 1";
        let outcome = world
            .run(&on_bridge(&world, &["sh", "-c", script], &[]))
            .unwrap();
        let lines: Vec<_> = outcome.stdout.lines().collect();
        let [address, route, named, lo] = lines[..] else {
            panic!("{outcome:?}")
        };
        assert!(
            address.starts_with("10.90.") && address.ends_with("/16"),
            "{address}"
        );
        assert_eq!(route, "default via 10.90.0.1 dev eth0 ");
        assert_eq!(named, "1");
        assert!(lo.contains("UP"), "{lo}");
    });
}

#[test]
fn a_published_port_leads_to_the_command_and_is_free_after_it() {
    on_a_host(|world| {
        let serve = ["nc", "-l", "-p", "80", "-e", "echo", "hello"];
        let workload = on_bridge(&world, &serve, &[published(8080)]);
        let instance = world.launch(&workload, Stdio::null().unwrap()).unwrap();
        let mut said = String::new();
        while said.is_empty() {
            // The command may not listen yet.
            if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)) {
                let _ = stream.read_to_string(&mut said);
            }
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(said, "hello\n");
        let taken = world.launch(&workload, Stdio::null().unwrap()).map(drop);
        assert!(taken.unwrap_err().to_string().contains("port 8080/tcp"));
        drop(instance);
        assert!(!tool("nft", "list ruleset").contains("jaula-"));
        assert!(!tool("ip", "-o link").contains("jaula-"));
        world.launch(&workload, Stdio::null().unwrap()).unwrap();
    });
}

#[test]
fn name_servers_and_extra_hosts_are_written() {
    on_a_host(|world| {
        let script = "cat /etc/resolv.conf; grep -E 'db|host' /etc/hosts";
        let mut workload = on_bridge(&world, &["sh", "-c", script], &[]);
        workload.names.servers = vec![[192, 0, 2, 53].into()];
        let extra = |name: &str, address| ExtraHost {
            name: name.to_owned(),
            address,
        };
        workload.names.hosts = vec![
            extra("db", HostAddress::Address([192, 0, 2, 7].into())),
            extra("outer", HostAddress::Gateway),
        ];
        let outcome = world.run(&workload).unwrap();
        assert!(
            outcome.stdout.starts_with("nameserver 192.0.2.53\n"),
            "{outcome:?}"
        );
        assert!(outcome.stdout.contains("192.0.2.7\tdb\n"), "{outcome:?}");
        let hosts = fs::read_to_string("/etc/hosts").unwrap();
        assert!(!hosts.contains("192.0.2.7"), "the host's own is left alone");
    });
}

#[test]
fn with_the_hosts_network_the_command_sees_the_hosts_interfaces() {
    on_a_host(|world| {
        tool("ip", "link add seen type veth peer name other");
        let mut workload = world.workload(&["sh", "-c", "ls /sys/class/net; cat /etc/hosts"]);
        workload.network = Network::Host;
        let outcome = world.run(&workload).unwrap();
        assert!(outcome.stdout.contains("seen"), "{outcome:?}");
        let hosts = fs::read_to_string("/etc/hosts").unwrap();
        assert!(outcome.stdout.contains(&hosts), "{outcome:?}");
    });
}

#[test]
fn without_a_network_there_is_only_loopback() {
    on_a_host(|world| {
        let outcome = world
            .run(&world.workload(&["ls", "/sys/class/net"]))
            .unwrap();
        assert_eq!(outcome.stdout, "lo\n");
    });
}

#[test]
fn two_containers_talk() {
    on_a_host(|world| {
        let serve = ["sh", "-c", "hostname -i; nc -l -p 80 -e echo hello"];
        let (read, write) = std::io::pipe().unwrap();
        let stdio = Stdio {
            stdout: write.into(),
            ..Stdio::null().unwrap()
        };
        let _server = world
            .launch(&on_bridge(&world, &serve, &[]), stdio)
            .unwrap();
        let mut address = String::new();
        let mut read = std::io::BufReader::new(read);
        std::io::BufRead::read_line(&mut read, &mut address).unwrap();
        let script = format!(
            "until nc {} 80 < /dev/null; do usleep 10000; done",
            address.trim()
        );
        let outcome = world
            .run(&on_bridge(&world, &["sh", "-c", &script], &[]))
            .unwrap();
        assert_eq!(outcome.stdout, "hello\n");
    });
}

/// Whether an ordinary user's network can be had here; if not, it is said.
fn has_user_mode() -> bool {
    let tun = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    let ordinary = !geteuid().is_root();
    if !ordinary || tun.is_err() {
        eprintln!("SKIPPED: needs an ordinary user who may use /dev/net/tun");
    }
    ordinary && tun.is_ok()
}

#[test]
fn an_ordinary_users_container_has_a_way_out_and_a_port() {
    if !has_user_mode() {
        return;
    }
    let world = World::new();
    let script = "ip -4 -o addr show eth0 | awk '{print $4}'; ip route | head -n 1; \
                  cat /etc/resolv.conf; grep -c 10.0.2.100 /etc/hosts; \
                  nc -l -p 80 -e echo hello";
    let (read, write) = std::io::pipe().unwrap();
    let stdio = Stdio {
        stdout: write.into(),
        ..Stdio::null().unwrap()
    };
    let workload = on_bridge(&world, &["sh", "-c", script], &[published(18080)]);
    let instance = world.launch(&workload, stdio).unwrap();
    let mut said = String::new();
    while said.is_empty() {
        // pasta accepts before the command listens.
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, 18080)) {
            let _ = stream.read_to_string(&mut said);
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(said, "hello\n");
    instance.wait(None).unwrap();
    drop(instance);
    let mut stdout = String::new();
    std::io::BufReader::new(read)
        .read_to_string(&mut stdout)
        .unwrap();
    assert!(
        stdout.starts_with("10.0.2.100/24\ndefault via 10.0.2.2 dev eth0 \nnameserver 10.0.2.3\n"),
        "{stdout}"
    );
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, 18080)).is_err());
    assert!(world.instances().is_empty());
}

#[test]
fn an_ordinary_users_port_that_is_taken_is_told_before_anything_starts() {
    if geteuid().is_root() {
        eprintln!("SKIPPED: needs an ordinary user");
        return;
    }
    let world = World::new();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let workload = on_bridge(&world, &["true"], &[published(port)]);
    let refused = world.launch(&workload, Stdio::null().unwrap()).map(drop);
    let said = refused.unwrap_err().to_string();
    assert!(said.contains(&format!("port {port}/tcp")), "{said}");
}

#[test]
fn an_ordinary_user_may_have_the_hosts_network_with_a_sys_that_shows_it() {
    let world = World::new();
    let mut workload = world.workload(&["sh", "-c", "ls /sys/class/net; mkdir /sys/x"]);
    workload.network = Network::Host;
    let outcome = world.run(&workload).unwrap();
    let interfaces = tool("ls", "/sys/class/net");
    assert_eq!(outcome.stdout, interfaces);
    assert!(outcome.stderr.contains("Read-only"), "{outcome:?}");
}
