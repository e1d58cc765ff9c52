//! What a container is connected to, as its user sees it.

#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Child;

use harness::ann::{Ann, Ranges};
use harness::detached::{Detached, eventually};
use harness::lan::{
    ADDRESS, HOST, Lan, NAME, NEIGHBOUR, ask_tcp, ask_udp, inside_of, on_a_lan, serve_udp, tool,
};
use harness::oci::{self, Layout};
use harness::refused::assert_refused;
use harness::{World, see, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Answers everybody who connects to port 80.
const SERVER: [&str; 7] = ["nc", "-ll", "-p", "80", "-e", "echo", "hello"];

/// What `jaula run` prints that has to work.
fn says(world: &World, flags: &[&str], command: &[&str]) -> String {
    let seen = world.run([&["run"], flags, &["busybox"], command].concat());
    assert_eq!(
        (seen.code, seen.stderr.as_str()),
        (Some(0), ""),
        "{flags:?} {command:?}"
    );
    seen.stdout_text()
}

fn ports_of(test: &Detached, name: &str) -> String {
    let args = ["ps", "--format", "json", "-f", &format!("name={name}")];
    let row: serde_json::Value = serde_json::from_str(&test.says(&args)).unwrap();
    row["Ports"].as_str().unwrap().to_owned()
}

fn address_of(test: &Detached, name: &str) -> Ipv4Addr {
    test.field(name, ".NetworkSettings.IPAddress")
        .parse()
        .unwrap()
}

fn answers(port: u16) -> bool {
    ask_tcp((LOOPBACK, port)).as_deref() == Some("hello\n")
}

#[test]
fn without_a_network_there_is_a_loopback_interface_and_nothing_else() {
    on_a_lan(|lan| {
        let world = World::new();
        lan.neighbour_listens(80);
        for flags in [&[][..], &["--network", "none"]] {
            let script = "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 > /dev/null && echo up; \
                          nc -w 1 192.0.2.2 80 < /dev/null || echo away";
            let seen = world.run([&["run"], flags, &["busybox", "sh", "-c", script]].concat());
            assert_eq!(seen.stdout_text(), "lo\nup\naway\n", "{}", seen.stderr);
        }
        world.assert_no_traces();
    });
}

#[test]
fn with_the_hosts_network_all_of_it_is_the_commands() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let flags = ["--network", "host"];
        let said = says(
            &test.world,
            &flags,
            &["sh", "-c", "ls /sys/class/net; cat /etc/resolv.conf"],
        );
        assert!(said.contains("outside\n"), "{said}");
        assert!(said.ends_with("nameserver 192.0.2.2\n"), "{said}");
        lan.neighbour_listens(80);
        let asked = says(&test.world, &flags, &["nc", "192.0.2.2", "80"]);
        assert_eq!(asked, HOST.to_string());
        let (name, _) = test.start(0, &flags, &SERVER);
        eventually(|| answers(80));
        assert_eq!(test.field(&name, ".HostConfig.NetworkMode"), "host");
        assert_eq!(ports_of(&test, &name), "");
        test.says(&["rm", "-f", &name]);
        test.world.assert_no_traces();
    });
}

#[test]
fn on_the_bridge_there_is_an_address_and_a_way_out_with_the_hosts() {
    on_a_lan(|lan| {
        let test = Detached::new();
        lan.neighbour_listens(80);
        let script = "ip -4 -o addr show eth0 | awk '{print $4}'; ip route | head -n 1; \
                      hostname -i; nc 192.0.2.2 80; echo; sleep 1000";
        let (name, _) = test.start(0, &["--network", "bridge"], &["sh", "-c", script]);
        let address = address_of(&test, &name);
        test.await_log(
            &name,
            &format!("{address}/16\ndefault via 10.90.0.1 dev eth0 \n{address}\n{HOST}\n"),
        );
        for (field, expected) in [
            (".NetworkSettings.Gateway", "10.90.0.1"),
            (".NetworkSettings.IPPrefixLen", "16"),
            (".HostConfig.NetworkMode", "bridge"),
        ] {
            assert_eq!(test.field(&name, field), expected);
        }
        test.says(&["stop", "-t", "0", &name]);
        assert_eq!(test.field(&name, ".NetworkSettings.IPAddress"), "");
        test.says(&["rm", &name]);
        lan.assert_no_traces();
    });
}

#[test]
fn names_are_resolved_by_the_hosts_name_servers_or_by_others() {
    on_a_lan(|lan| {
        let world = World::new();
        let command = ["nslookup", "-type=a", NAME];
        let bridge = ["--network", "bridge"];
        let said = says(&world, &bridge, &command);
        assert!(said.contains(&ADDRESS.to_string()), "{said}");
        let unknown = world.run([
            "run",
            "--network",
            "bridge",
            "busybox",
            "nslookup",
            "no.example",
        ]);
        assert_ne!(unknown.code, Some(0));
        // One on the host's loopback interface is out of reach.
        lan.name_servers("nameserver 127.0.0.53\n");
        let file = says(&world, &bridge, &["cat", "/etc/resolv.conf"]);
        assert!(file.contains("jaula run --dns ADDRESS"), "{file}");
        let neighbour = NEIGHBOUR.to_string();
        let flags = ["--network", "bridge", "--dns", &neighbour];
        let said = says(&world, &flags, &command);
        assert!(said.contains(&ADDRESS.to_string()), "{said}");
        world.assert_no_traces();
    });
}

#[test]
fn a_port_is_published_to_the_host_alone_unless_another_address_is_given() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let (private, _) = test.start(0, &["-p", "8080:80"], &SERVER);
        let (public, _) = test.start(1, &["-p", "0.0.0.0:8081:80"], &SERVER);
        eventually(|| answers(8080) && answers(8081));
        let seen = lan.at_the_neighbours(|| [8080, 8081].map(|port| ask_tcp((HOST, port))));
        assert_eq!(seen, [None, Some("hello\n".to_owned())]);
        assert_eq!(ports_of(&test, &private), "127.0.0.1:8080->80/tcp");
        assert_eq!(ports_of(&test, &public), "0.0.0.0:8081->80/tcp");
        assert_eq!(test.says(&["port", &private]), "80/tcp -> 127.0.0.1:8080\n");
        assert_eq!(test.says(&["port", &public, "80"]), "0.0.0.0:8081\n");
        let said = test.fails(&["port", &public, "80/udp"]);
        assert_eq!(
            said,
            format!("jaula: instance {public} publishes no port 80/udp\n")
        );
        test.says(&["rm", "-f", &private, &public]);
        assert_eq!(ask_tcp((LOOPBACK, 8080)), None);
        lan.assert_no_traces();
        test.world.assert_no_traces();
    });
}

#[test]
fn a_datagram_comes_in_and_its_answer_goes_out() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let (name, _) = test.start(0, &["-p", "0.0.0.0:5353:53/udp"], &["sleep", "1000"]);
        let pid = test.field(&name, ".State.Pid");
        inside_of(&pid, || serve_udp(53));
        let seen = lan.at_the_neighbours(|| ask_udp((HOST, 5353)));
        assert_eq!(seen, Some(NEIGHBOUR.to_string()));
        assert_eq!(ports_of(&test, &name), "0.0.0.0:5353->53/udp");
        // The same number for the other protocol is another port.
        assert_eq!(ask_tcp((HOST, 5353)), None);
        test.says(&["rm", "-f", &name]);
        lan.assert_no_traces();
    });
}

#[test]
fn a_range_is_as_many_ports_and_for_one_port_a_choice() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let flags = ["-p", "8000-8002:80-82", "-p", "8001-8009:90"];
        let script = "for port in 80 81 82 90; do nc -ll -p $port -e echo $port & done; wait";
        let (name, _) = test.start(0, &flags, &["sh", "-c", script]);
        for (host, inner) in [
            (8000, "80\n"),
            (8001, "81\n"),
            (8002, "82\n"),
            (8003, "90\n"),
        ] {
            eventually(|| ask_tcp((LOOPBACK, host)).as_deref() == Some(inner));
        }
        assert_eq!(
            ports_of(&test, &name),
            "127.0.0.1:8000-8002->80-82/tcp, 127.0.0.1:8003->90/tcp"
        );
        assert_eq!(
            test.field(&name, ".HostConfig.PortBindings.90/tcp.0.HostPort"),
            "8001-8009"
        );
        test.says(&["rm", "-f", &name]);
        lan.assert_no_traces();
    });
}

#[test]
fn a_port_that_is_left_out_is_a_free_one_and_shown() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let (name, _) = test.start(0, &["-p", "80"], &SERVER);
        let port = test.field(&name, ".NetworkSettings.Ports.80/tcp.0.HostPort");
        eventually(|| answers(port.parse().unwrap()));
        assert_eq!(ports_of(&test, &name), format!("127.0.0.1:{port}->80/tcp"));
        assert_eq!(
            test.says(&["port", &name, "80/tcp"]),
            format!("127.0.0.1:{port}\n")
        );
        test.says(&["stop", "-t", "0", &name]);
        assert_eq!(test.says(&["port", &name]), "");
        test.says(&["rm", &name]);
        lan.assert_no_traces();
    });
}

#[test]
fn a_port_that_is_taken_is_refused_and_named() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let _listener = TcpListener::bind((LOOPBACK, 8080)).unwrap();
        let _socket = UdpSocket::bind((LOOPBACK, 5353)).unwrap();
        let (name, _) = test.start(0, &["-p", "8081:80"], &["sleep", "1000"]);
        let world = World::new();
        for (flag, named) in [
            ("8080:80", "port 8080/tcp"),
            ("0.0.0.0:8080:80", "0.0.0.0, port 8080/tcp"),
            ("5353:53/udp", "port 5353/udp"),
            // Another instance's.
            ("8081:80", "port 8081/tcp"),
            ("8080-8081:80", "port 8080-8081/tcp"),
            ("192.0.2.9:80:80", "192.0.2.9"),
            ("[::1]:80:80", "IPv4"),
        ] {
            let seen = world.run(["run", "-p", flag, "busybox", "true"]);
            assert_refused(&world, &seen, &[named]);
        }
        // What it would take before that is let go of.
        let flags = ["run", "-p", "8090:80", "-p", "8080:80", "busybox", "true"];
        assert_refused(&world, &world.run(flags), &["port 8080/tcp"]);
        assert_eq!(
            says(&world, &["-p", "8090:80"], &["echo", "free"]),
            "free\n"
        );
        test.says(&["rm", "-f", &name]);
        lan.assert_no_traces();
    });
}

#[test]
fn two_containers_reach_each_other() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let (server, _) = test.start(0, &["-p", "0.0.0.0:8080:80"], &SERVER);
        eventually(|| answers(8080));
        let address = address_of(&test, &server).to_string();
        let bridge = ["--network", "bridge"];
        assert_eq!(
            says(&test.world, &bridge, &["nc", &address, "80"]),
            "hello\n"
        );
        // By what it publishes, too.
        assert_eq!(
            says(&test.world, &bridge, &["nc", "10.90.0.1", "8080"]),
            "hello\n"
        );
        test.says(&["rm", "-f", &server]);
        lan.assert_no_traces();
    });
}

#[test]
fn many_that_start_at_once_have_addresses_and_ports_of_their_own() {
    const MANY: u32 = 12;
    on_a_lan(|lan| {
        let test = Detached::new();
        let names: Vec<_> = (0..MANY).map(|number| test.name(number)).collect();
        let starts: Vec<Child> = names
            .iter()
            .map(|name| {
                let flags = ["run", "-d", "--name", name, "-p", "80"];
                let args = [&flags[..], &["busybox"], &SERVER].concat();
                test.world.jaula(args).spawn().unwrap()
            })
            .collect();
        for mut start in starts {
            assert_eq!(wait(&mut start).code(), Some(0));
        }
        let addresses: HashSet<_> = names.iter().map(|name| address_of(&test, name)).collect();
        assert_eq!(addresses.len(), names.len());
        for name in &names {
            let port = test.field(name, ".NetworkSettings.Ports.80/tcp.0.HostPort");
            eventually(|| answers(port.parse().unwrap()));
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        test.says(&[&["rm", "-f"], &names[..]].concat());
        test.world.assert_no_traces();
        lan.assert_no_traces();
    });
}

#[test]
fn what_a_killed_launcher_leaves_is_cleared_away_by_the_next_run() {
    on_a_lan(|lan| {
        let test = Detached::new();
        let flags = ["-p", "8080:80"];
        for is_detached in [false, true] {
            let name = test.name(is_detached.into());
            let mut child = None;
            let launcher = if is_detached {
                test.start(1, &flags, &SERVER);
                test.field(&name, ".State.KeeperPid").parse().unwrap()
            } else {
                let run = [&["run", "--name", &name], &flags[..]].concat();
                let run = test
                    .world
                    .jaula([&run[..], &["busybox"], &SERVER].concat())
                    .spawn();
                child.insert(run.unwrap()).id().cast_signed()
            };
            eventually(|| answers(8080));
            kill(Pid::from_raw(launcher), Signal::SIGKILL).unwrap();
            if let Some(mut child) = child {
                child.wait().unwrap();
            }
            // The kernel ends the command, and its link goes with its namespace.
            eventually(|| !tool("ip", "-o link").contains("jaula-"));
            let left = tool("nft", "list tables");
            assert!(left.contains("jaula-10.90."), "{left}");
            // Nobody holds the port any more.
            assert_eq!(says(&test.world, &flags, &["echo", "next"]), "next\n");
            lan.assert_no_traces();
            test.world.assert_no_traces();
        }
    });
}

#[test]
fn what_the_image_exposes_is_shown_and_published_when_asked_for() {
    if !Layout::can_be_made() {
        return;
    }
    on_a_lan(|lan| {
        let test = Detached::new();
        let mut layout = Layout::new(test.world.dir());
        layout.layer(oci::busybox);
        layout.config(&["--config.exposedports", "80/tcp"]);
        layout.config(&["--config.exposedports", "443/tcp"]);
        layout.config(&["--config.exposedports", "5000/sctp"]);
        let image = format!("oci:{}", layout.path());
        let start = |number: u32, flags: &[&str]| {
            let name = test.name(number);
            let run = ["run", "-d", "--name", &name];
            let command = [&image, "/bin/busybox"];
            let args = [&run[..], flags, &command, &SERVER].concat();
            let seen = test.world.run(args);
            assert_eq!(seen.code, Some(0), "{}", seen.stderr);
            let note =
                "jaula: the image's port \"5000/sctp\" is left out: its protocol is tcp or udp\n";
            assert_eq!(seen.stderr, note);
            name
        };
        let shown = start(0, &["--network", "bridge", "--expose", "81"]);
        assert_eq!(ports_of(&test, &shown), "80-81/tcp, 443/tcp");
        assert_eq!(
            test.field(&shown, ".Config.ExposedPorts"),
            r#"{"443/tcp":{},"80/tcp":{},"81/tcp":{}}"#
        );
        assert_eq!(test.field(&shown, ".NetworkSettings.Ports.81/tcp"), "null");
        let all = start(1, &["-P", "-p", "0.0.0.0:8443:443"]);
        let port = test.says(&["port", &all, "80"]);
        let port = port
            .trim_end()
            .strip_prefix("127.0.0.1:")
            .unwrap()
            .to_owned();
        eventually(|| answers(port.parse().unwrap()));
        assert_eq!(test.says(&["port", &all, "443"]), "0.0.0.0:8443\n");
        assert_eq!(
            ports_of(&test, &all),
            format!("0.0.0.0:8443->443/tcp, 127.0.0.1:{port}->80/tcp")
        );
        test.says(&["rm", "-f", &shown, &all]);
        lan.assert_no_traces();
    });
}

#[test]
fn what_a_container_receives_and_sends_is_counted() {
    on_a_lan(|_| {
        let test = Detached::new();
        let server = [
            "nc",
            "-ll",
            "-p",
            "80",
            "-e",
            "head",
            "-c",
            "3000000",
            "/dev/zero",
        ];
        let (name, _) = test.start(0, &["-p", "8080:80"], &server);
        eventually(|| ask_tcp((LOOPBACK, 8080)).is_some_and(|said| said.len() == 3_000_000));
        let told = test.says(&["stats", "--no-stream", "--format", "json", &name]);
        let row: serde_json::Value = serde_json::from_str(&told).unwrap();
        let (received, sent) = row["NetIO"].as_str().unwrap().split_once(" / ").unwrap();
        assert!(received.ends_with("KiB"), "{row}");
        assert!(sent.ends_with("MiB"), "{row}");
        test.says(&["rm", "-f", &name]);
    });
}

#[test]
fn without_nft_it_is_said_what_to_install() {
    on_a_lan(|lan| {
        lan.hide("/usr/sbin");
        let world = World::new();
        for flags in [&["--network", "bridge"][..], &["-p", "80"]] {
            let seen = world.run([&["run"], flags, &["busybox", "true"]].concat());
            assert_refused(&world, &seen, &["nft", "install nftables"]);
        }
        // What needs none goes on.
        assert_eq!(
            says(&world, &["--network", "host"], &["echo", "on"]),
            "on\n"
        );
    });
}

#[test]
fn where_packets_may_not_pass_the_host_it_is_said() {
    on_a_lan(|lan| {
        tool("sysctl", "-qw net.ipv4.ip_forward=0");
        let setting = "/proc/sys/net/ipv4/ip_forward";
        lan.keep_as_it_is(setting);
        let world = World::new();
        let seen = world.run(["run", "--network", "bridge", "busybox", "true"]);
        assert_refused(&world, &seen, &[setting, "mount /proc/sys"]);
        lan.assert_no_traces();
    });
}

/// The book's chapter says what lets packets through where the host's own rules drop them.
#[test]
fn a_firewall_that_drops_what_passes_the_host_is_told_to_let_it_pass() {
    on_a_lan(|lan| {
        let world = World::new();
        tool("nft", "add table inet fw");
        tool(
            "nft",
            "add chain inet fw forward { type filter hook forward priority 0 ; policy drop ; }",
        );
        let reaches = || {
            lan.neighbour_listens(80);
            let command = ["busybox", "nc", "-w", "1", "192.0.2.2", "80"];
            let seen = world.run([&["run", "--network", "bridge"], &command[..]].concat());
            // Whoever was not reached listens no more.
            lan.at_the_neighbours(|| ask_tcp((LOOPBACK, 80)));
            seen.stdout_text() == HOST.to_string()
        };
        assert!(!reaches());
        tool("nft", "add rule inet fw forward iifname jaula0 accept");
        tool("nft", "add rule inet fw forward oifname jaula0 accept");
        assert!(reaches());
    });
}

/// Programs that Ann needs in any case.
const HERS: [&str; 7] = [
    "sh",
    "unshare",
    "mount",
    "mknod",
    "setpriv",
    "newuidmap",
    "newgidmap",
];

/// jaula as she starts it who has one program for networks, or none.
fn anns_run(lan: &Lan, ann: &Ann, program: Option<&str>, args: &[&str]) -> std::process::Command {
    let programs: Vec<_> = HERS.into_iter().chain(program).collect();
    let mut command = ann.jaula(args);
    command.env("PATH", lan.only_programs(&programs));
    command
}

fn has(program: &str) -> bool {
    let found = std::process::Command::new(program)
        .arg("--version")
        .output();
    if found.is_err() {
        eprintln!("SKIPPED: there is no {program}, see setup/packages.txt");
    }
    found.is_ok()
}

#[test]
fn an_ordinary_user_has_a_way_out_names_and_ports_by_either_program() {
    for program in ["pasta", "slirp4netns"] {
        if !has(program) {
            continue;
        }
        for ranges in [Ranges::Given, Ranges::None] {
            on_a_lan(|lan| {
                let Some(ann) = Ann::new(ranges) else { return };
                let jaula = |args: &[&str]| see(anns_run(lan, &ann, Some(program), args), b"");
                lan.neighbour_listens(80);
                // With an input that ends at once pasta of 2023 may lose the answer.
                let script = format!(
                    "ip -4 -o addr show eth0 | awk '{{print $4}}'; ip route | head -n 1; \
                     sleep 1 | nc 192.0.2.2 80; echo; nslookup -type=a {NAME} | tail -n 2 | head -n 1; \
                     exec nc -ll -p 80 -e echo hello"
                );
                let name = format!("{}0", ann.world.name_prefix());
                let ports = ["-p", "18080:80", "-p", "0.0.0.0:18053:53/udp"];
                let flags = [&["run", "-d", "--name", &name], &ports[..]].concat();
                let run = [&flags[..], &["busybox", "sh", "-c", &script]].concat();
                let started = jaula(&run);
                assert_eq!(
                    (started.code, started.stderr.as_str()),
                    (Some(0), ""),
                    "{program}"
                );
                let expected = format!(
                    "10.0.2.100/24\ndefault via 10.0.2.2 dev eth0 \n{HOST}\nAddress: {ADDRESS}\n"
                );
                let logs = || jaula(&["logs", &name]).stdout_text();
                eventually(|| logs().lines().count() >= 4);
                assert_eq!(logs(), expected, "{program}");
                eventually(|| answers(18080));
                assert_eq!(
                    jaula(&["inspect", "-f", ".NetworkSettings.IPAddress", &name]).stdout_text(),
                    "10.0.2.100\n"
                );
                let pid = jaula(&["inspect", "-f", ".State.Pid", &name]).stdout_text();
                // To the host itself the answers are lost, see the book's chapter.
                inside_of(pid.trim_end(), || serve_udp(53));
                let answer = lan.at_the_neighbours(|| ask_udp((HOST, 18053)));
                assert!(answer.is_some(), "{program}");
                let taken = jaula(&["run", "-p", "18080:80", "busybox", "true"]);
                assert_eq!(taken.code, Some(125));
                assert!(taken.stderr.contains("port 18080/tcp"), "{}", taken.stderr);
                assert_eq!(jaula(&["rm", "-f", &name]).stderr, "");
                assert_eq!(ask_tcp((LOOPBACK, 18080)), None);
                ann.world.assert_no_traces();
            });
        }
    }
}

#[test]
fn what_an_ordinary_users_killed_launcher_leaves_is_cleared_away() {
    for program in ["pasta", "slirp4netns"] {
        if !has(program) {
            continue;
        }
        on_a_lan(|lan| {
            let Some(ann) = Ann::new(Ranges::Given) else {
                return;
            };
            let publish = ["run", "-p", "18080:80", "busybox"];
            let args = [&publish[..], &SERVER].concat();
            let mut child = anns_run(lan, &ann, Some(program), &args).spawn().unwrap();
            eventually(|| answers(18080));
            child.kill().unwrap();
            child.wait().unwrap();
            let args = [&publish[..], &["echo", "next"]].concat();
            eventually(|| {
                let next = see(anns_run(lan, &ann, Some(program), &args), b"");
                next.stdout_text() == "next\n"
            });
            ann.world.assert_no_traces();
        });
    }
}

#[test]
fn an_ordinary_user_without_a_program_for_it_is_told_what_to_install() {
    on_a_lan(|lan| {
        let Some(ann) = Ann::new(Ranges::Given) else {
            return;
        };
        for flags in [&["--network", "bridge"][..], &["-p", "18080:80"]] {
            let args = [&["run"], flags, &["busybox", "true"]].concat();
            let seen = see(anns_run(lan, &ann, None, &args), b"");
            let names = ["pasta", "slirp4netns", "install passt"];
            assert_refused(&ann.world, &seen, &names);
        }
        let args = ["run", "--network", "none", "busybox", "echo", "none"];
        let seen = see(anns_run(lan, &ann, None, &args), b"");
        assert_eq!(seen.stdout_text(), "none\n");
    });
}

#[test]
fn an_ordinary_users_container_does_not_reach_what_listens_on_the_hosts_loopback() {
    for program in ["pasta", "slirp4netns"] {
        if !has(program) {
            continue;
        }
        on_a_lan(|lan| {
            let Some(ann) = Ann::new(Ranges::Given) else {
                return;
            };
            // One for both: a process that another test is about to start may have it open for a moment.
            let listener = TcpListener::bind((LOOPBACK, 7777)).unwrap();
            listener.set_nonblocking(true).unwrap();
            for address in ["127.0.0.1", "10.0.2.2"] {
                let command = ["busybox", "nc", "-w", "1", address, "7777"];
                let args = [&["run", "--network", "bridge"], &command[..]].concat();
                see(anns_run(lan, &ann, Some(program), &args), b"");
                assert!(listener.accept().is_err(), "{program} {address}");
            }
        });
    }
}
