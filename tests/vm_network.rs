//! What a VM is connected to: the same as a container, and with containers.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use bench::Way;
use harness::ann::{Ann, Ranges};
use harness::lan::{ADDRESS, HOST, Lan, NAME, ask_tcp, ip, on_a_lan, tool};
use harness::refused::assert_refused;
use harness::{Place, Seen, World, can_run, run, see, wait};
use launch::Side;

/// Programs that Ann needs in any case: `mkfs.erofs` is for the disks of her VMs.
const HERS: [&str; 8] = [
    "sh",
    "unshare",
    "mount",
    "mknod",
    "setpriv",
    "newuidmap",
    "newgidmap",
    "mkfs.erofs",
];

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Longest that something takes which comes.
const SOON: Duration = Duration::from_secs(240);

/// Does something on a host that has VMs, with a place for one.
fn on_a_lan_with_vms(act: impl FnOnce(&Lan) + Send) {
    if can_run(Side::Vm) {
        let _place = Place::take(Side::Vm);
        on_a_lan(act);
    }
}

/// What a shell prints that has to end with 0.
fn says(world: &World, way: Way, flags: &[&str], script: &str) -> String {
    let args = [run(way), flags, &["busybox", "sh", "-c", script]].concat();
    let seen = world.run(args);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{way}");
    seen.stdout_text()
}

/// A command that runs until it is killed.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(world: &World, way: Way, flags: &[&str], script: &str) -> Self {
        let args = [run(way), flags, &["busybox", "sh", "-c", script]].concat();
        Self::of(world, &args)
    }

    fn of(world: &World, args: &[&str]) -> Self {
        let mut child = world
            .jaula(args.iter().copied())
            .stdin(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn say(&mut self, word: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{word}").unwrap();
    }
}

/// Kills jaula itself, which can do nothing more for what it started.
impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        wait(&mut self.child);
    }
}

/// What the command that is behind a port says; nothing, if it does not listen, or the port does not
/// lead to it yet. It may take its time where a guest's kernel is emulated.
fn answer(at: (Ipv4Addr, u16)) -> String {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect_timeout(&at.into(), SOON / 12) {
        stream.set_read_timeout(Some(SOON / 12)).unwrap();
        let _ = stream.read_to_string(&mut said);
    }
    said
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "it never comes");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn on_the_bridge_a_vm_has_what_a_container_has() {
    on_a_lan_with_vms(|lan| {
        // Not that of an interface that nobody has set up.
        ip("link set outside mtu 1400");
        let world = World::new();
        let name = format!("{}0", world.name_prefix());
        let flags = ["--network", "bridge", "--name", &name, "-h", "web"];
        let flags = [&flags[..], &["--add-host", "outer:host-gateway"]].concat();
        let script = format!(
            "ip -4 -o addr show eth0; ip route; cd /sys/class/net; ls; cat eth0/address eth0/mtu; \
             cat /etc/hosts /etc/resolv.conf; cd /proc/sys/net/ipv4; \
             cat ip_unprivileged_port_start ping_group_range; \
             nslookup -type=a {NAME} | tail -n 2 | head -n 1; nc 192.0.2.2 80; echo; \
             ping -q -c 1 192.0.2.2 | grep -c '1 packets received'"
        );
        let [container, vm] = [Way::Container, Way::VmWarm].map(|way| {
            lan.neighbour_listens(80);
            says(&world, way, &flags, &script)
        });
        assert_eq!(vm, container);
        for expected in [
            "default via 10.90.0.1 dev eth0",
            "eth0\nlo\n",
            "\n1400\n",
            "10.90.0.1\touter\n",
            "nameserver 192.0.2.2\n",
            &ADDRESS.to_string(),
            &HOST.to_string(),
        ] {
            assert!(vm.contains(expected), "{expected:?} is not in {vm}");
        }
        assert!(vm.ends_with("1\n"), "{vm}");
        lan.assert_no_traces();
        world.assert_no_traces();
    });
}

#[test]
fn without_a_network_a_vm_has_its_loopback_interface_and_no_other() {
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        for flags in [&[][..], &["--network", "none"]] {
            let script = "ls /sys/class/net; ping -q -c 1 127.0.0.1 > /dev/null && echo up";
            assert_eq!(says(&world, Way::VmWarm, flags, script), "lo\nup\n");
        }
        lan.assert_no_traces();
    });
}

#[test]
fn a_vm_that_boots_is_on_the_bridge_too() {
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        lan.neighbour_listens(80);
        let flags = ["--network", "bridge"];
        assert_eq!(
            says(&world, Way::VmCold, &flags, "nc 192.0.2.2 80"),
            HOST.to_string()
        );
        lan.assert_no_traces();
    });
}

/// Ends without a word to what it started.
fn a_published_port_answers_and_nothing_is_left_of_a_launcher_that_was_killed(way: Way) {
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        let server = "nc -ll -p 80 -e echo hello";
        let flags = ["-p", "18080:80", "-p", "0.0.0.0:18081:80"];
        let running = Running::start(&world, way, &flags, server);
        eventually(|| answer((LOOPBACK, 18080)) == "hello\n");
        assert_eq!(lan.at_the_neighbours(|| answer((HOST, 18081))), "hello\n");
        assert_eq!(lan.at_the_neighbours(|| ask_tcp((HOST, 18080))), None);
        let taken = world.run([run(way), &flags, &["busybox", "true"]].concat());
        assert_eq!(taken.code, Some(125));
        assert!(taken.stderr.contains("port 18080/tcp"), "{}", taken.stderr);
        drop(running);
        eventually(|| !tool("ip", "-o link").contains("jaula-"));
        // Who comes next clears the rest, and can have the ports.
        assert_eq!(says(&world, way, &flags, "echo next"), "next\n");
        lan.assert_no_traces();
        world.assert_no_traces();
    });
}

#[test]
fn a_published_port_of_a_vm_answers_and_nothing_is_left_of_a_launcher_that_was_killed() {
    a_published_port_answers_and_nothing_is_left_of_a_launcher_that_was_killed(Way::VmWarm);
}

#[test]
fn a_published_port_of_a_container_answers_and_nothing_is_left_of_a_launcher_that_was_killed() {
    a_published_port_answers_and_nothing_is_left_of_a_launcher_that_was_killed(Way::Container);
}

#[test]
fn vms_and_containers_reach_each_other_and_no_two_have_the_same_address() {
    if !can_run(Side::Vm) {
        return;
    }
    let _places = [Place::take(Side::Vm), Place::take(Side::Vm)];
    on_a_lan(|lan| {
        let world = World::new();
        let server = "hostname -i; cat /sys/class/net/eth0/address; nc -ll -p 80 -e echo hello";
        let flags = ["--network", "bridge"];
        let mut servers =
            [Way::Container, Way::VmWarm].map(|way| Running::start(&world, way, &flags, server));
        let of_servers = servers
            .each_mut()
            .map(|server| [server.line(), server.line()]);
        for way in [Way::Container, Way::VmWarm] {
            let [[first, _], [second, _]] = &of_servers;
            let script = format!(
                "hostname -i; cat /sys/class/net/eth0/address; for to in {first} {second}; do \
                 until nc $to 80 < /dev/null 2>&1 | grep hello; do usleep 100000; done; done"
            );
            let said = says(&world, way, &flags, &script);
            let lines: Vec<_> = said.lines().collect();
            let [address, ethernet, "hello", "hello"] = lines[..] else {
                panic!("{said}");
            };
            for [other, other_ethernet] in &of_servers {
                assert_ne!(address, other);
                assert_ne!(ethernet, other_ethernet);
            }
        }
        let [container, vm] = &of_servers;
        assert_ne!(container, vm);
        drop(servers);
        eventually(|| !tool("ip", "-o link").contains("jaula-"));
        world.run(["run", "busybox", "true"]);
        lan.assert_no_traces();
    });
}

/// What goes through in one piece is cut by nobody on the way, and checked by the last one.
#[test]
fn what_is_longer_than_a_frame_passes_both_ways_unchanged() {
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        let sent: Vec<u8> = (0..128u32 << 10)
            .map(|i| (i ^ (i >> 7) ^ (i >> 13)) as u8)
            .collect();
        let file = world.dir().join("sent");
        fs::write(&file, &sent).unwrap();
        let sum = tool("md5sum", file.to_str().unwrap());
        let [down, up] = [81, 82].map(|port| {
            lan.at_the_neighbours(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap())
        });
        let server = thread::spawn(move || {
            let (mut stream, _) = down.accept().unwrap();
            stream.write_all(&sent).unwrap();
            drop(stream);
            let mut got = Vec::new();
            up.accept().unwrap().0.read_to_end(&mut got).unwrap();
            got == sent
        });
        let script = "nc 192.0.2.2 81 < /dev/null > /tmp/got; md5sum < /tmp/got; \
                      nc 192.0.2.2 82 < /tmp/got";
        let flags = ["--network", "bridge", "--tmpfs", "/tmp"];
        let said = says(&world, Way::VmWarm, &flags, script);
        assert_eq!(
            said.split_whitespace().next(),
            sum.split_whitespace().next()
        );
        assert!(server.join().unwrap());
    });
}

#[test]
fn a_copy_of_a_connected_vm_has_an_address_of_its_own() {
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        let name = format!("{}0", world.name_prefix());
        let script = "while read x; do ip -4 -o addr show eth0 | awk '{print $4}'; \
                      cat /sys/class/net/eth0/address; nc 192.0.2.2 80; echo; done";
        let flags = ["-i", "--network", "bridge", "--name", &name];
        let mut original = Running::start(&world, Way::VmWarm, &flags, script);
        let tells = |running: &mut Running| {
            lan.neighbour_listens(80);
            running.say("x");
            let told = [running.line(), running.line(), running.line()];
            assert_eq!(told[2], HOST.to_string());
            told
        };
        let before = tells(&mut original);
        let saved = world.run(["snapshot", "create", &name, "saved"]);
        assert_eq!((saved.code, saved.stderr.as_str()), (Some(0), ""));
        let mut copy = Running::of(&world, &["snapshot", "restore", "-i", "saved"]);
        let [address, ethernet, _] = tells(&mut copy);
        assert_ne!(address, before[0]);
        assert_ne!(ethernet, before[1]);
        assert_eq!(tells(&mut original), before);
    });
}

/// jaula, started by Ann, who has these programs.
fn anns(lan: &Lan, ann: &Ann, programs: &[&str], args: &[&str]) -> Seen {
    let mut command = ann.jaula(args);
    command.env("PATH", lan.only_programs(&[&HERS[..], programs].concat()));
    see(command, b"")
}

/// What an instance of hers says of its address and its way out; a neighbour listens.
fn anns_way_out() -> String {
    // With an input that ends at once pasta of 2023 may lose the answer.
    format!(
        "ip -4 -o addr show eth0 | awk '{{print $4}}'; ip route | head -n 1; \
         sleep 1 | nc 192.0.2.2 80; echo; nslookup -type=a {NAME} | tail -n 2 | head -n 1; \
         grep nameserver /etc/resolv.conf"
    )
}

fn anns_way_out_is() -> String {
    format!(
        "10.0.2.100/24\ndefault via 10.0.2.2 dev eth0 \n{HOST}\nAddress: {ADDRESS}\n\
         nameserver 10.0.2.3\n"
    )
}

#[test]
fn an_ordinary_users_vm_has_the_ports_and_the_way_out_of_its_container() {
    on_a_lan_with_vms(|lan| {
        let Some(ann) = Ann::new(Ranges::None) else {
            return;
        };
        ann.give_kernel();
        let jaula = |args: &[&str]| anns(lan, &ann, &["slirp4netns"], args);
        // It is asked before it has asked anybody.
        let way_out = anns_way_out();
        let script =
            format!("nc -l -p 80 -e echo first; {way_out}; exec nc -ll -p 80 -e echo hello");
        for way in [Way::Container, Way::VmCold] {
            lan.neighbour_listens(80);
            let name = format!("{}0", ann.world.name_prefix());
            let flags = ["-d", "--name", &name, "-p", "18080:80"];
            let started = jaula(&[run(way), &flags, &["busybox", "sh", "-c", &script]].concat());
            assert_eq!(
                (started.code, started.stderr.as_str()),
                (Some(0), ""),
                "{way}"
            );
            eventually(|| answer((LOOPBACK, 18080)) == "first\n");
            eventually(|| answer((LOOPBACK, 18080)) == "hello\n");
            let address = jaula(&["inspect", "-f", ".NetworkSettings.IPAddress", &name]);
            assert_eq!(address.stdout_text(), "10.0.2.100\n");
            let said = jaula(&["logs", &name]).stdout_text();
            assert_eq!(said, anns_way_out_is(), "{way}");
            assert_eq!(jaula(&["rm", "-f", &name]).stderr, "");
            assert_eq!(ask_tcp((LOOPBACK, 18080)), None);
        }
        ann.world.assert_no_traces();
    });
}

#[test]
fn an_ordinary_users_vm_has_a_way_out_by_pasta_but_no_ports() {
    on_a_lan_with_vms(|lan| {
        let Some(ann) = Ann::new(Ranges::Given) else {
            return;
        };
        ann.give_kernel();
        let jaula = |args: &[&str]| anns(lan, &ann, &["pasta"], args);
        lan.neighbour_listens(80);
        let flags = ["--network", "bridge", "busybox", "sh", "-c"];
        let seen = jaula(&[run(Way::VmCold), &flags, &[&anns_way_out()]].concat());
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
        assert_eq!(seen.stdout_text(), anns_way_out_is());
        let seen = jaula(&[run(Way::VmCold), &["-p", "18080:80", "busybox", "true"]].concat());
        assert_refused(&ann.world, &seen, &["published ports", "slirp4netns"]);
    });
}

#[test]
fn an_ordinary_users_vm_without_a_program_for_its_network_is_refused() {
    on_a_lan_with_vms(|lan| {
        let Some(ann) = Ann::new(Ranges::None) else {
            return;
        };
        ann.give_kernel();
        let flags = ["--network", "bridge", "busybox", "true"];
        let seen = anns(lan, &ann, &[], &[run(Way::VmCold), &flags].concat());
        let names = ["pasta", "slirp4netns", "install passt"];
        assert_refused(&ann.world, &seen, &names);
    });
}

/// Has the neighbour do something with the first who connects, and tells how long that took.
fn timed_at_the_neighbours(
    lan: &Lan,
    port: u16,
    act: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> Receiver<Duration> {
    let listener = lan.at_the_neighbours(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
    let (told, tells) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.unwrap().accept().unwrap();
        let start = Instant::now();
        act(&mut stream);
        // Who looks no more has failed already.
        let _ = told.send(start.elapsed());
    });
    tells
}

/// The flags of a command that is limited. It is told when to begin, and when to end: what is on its
/// way then is lost.
const LIMITED: [&str; 5] = ["-i", "--network", "bridge", "--network-rate", "32k"];

/// At most as much: how quickly this machine does it says nothing. `start` has it run a script.
fn no_more_passes_than_the_rate(what: &str, start: impl Fn(&World, &str) -> Running + Sync) {
    const RATE: usize = 32 << 10;
    const BYTES: usize = 192 << 10;
    // What passes at once, and the longest frame.
    const AT_ONCE: usize = RATE / 10 + (64 << 10);
    on_a_lan_with_vms(|lan| {
        let world = World::new();
        let receives = timed_at_the_neighbours(lan, 80, |stream| {
            let answer = [b"HTTP/1.0 200 OK\r\n\r\n", &[b'x'; BYTES][..]].concat();
            stream.write_all(&answer).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // It is closed when all has come.
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let sends = timed_at_the_neighbours(lan, 81, |stream| {
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), BYTES);
        });
        let script = format!(
            "read begin; wget -q -O - http://192.0.2.2/ | wc -c; \
             head -c {BYTES} /dev/zero | nc 192.0.2.2 81; echo sent; read end"
        );
        let mut running = start(&world, &script);
        running.say("begin");
        assert_eq!(running.line(), BYTES.to_string());
        assert_eq!(running.line(), "sent");
        for seen in [receives, sends] {
            let took = seen.recv_timeout(SOON).unwrap();
            let most = AT_ONCE + (RATE as f64 * took.as_secs_f64()) as usize;
            assert!(BYTES <= most, "{what}: all came in {took:?}");
        }
    });
}

#[test]
fn no_more_passes_a_containers_network_than_the_rate() {
    no_more_passes_than_the_rate("a container", |world, script| {
        Running::start(world, Way::Container, &LIMITED, script)
    });
}

#[test]
fn no_more_passes_a_vms_network_than_the_rate() {
    no_more_passes_than_the_rate("a VM", |world, script| {
        Running::start(world, Way::VmWarm, &LIMITED, script)
    });
}

#[test]
fn no_more_passes_the_network_of_a_vms_copy_than_the_vms_rate() {
    no_more_passes_than_the_rate("a copy", |world, script| {
        let name = format!("{}0", world.name_prefix());
        let flags = [&LIMITED[..], &["--name", &name]].concat();
        let script = format!("echo up; {script}");
        let mut saved = Running::start(world, Way::VmWarm, &flags, &script);
        assert_eq!(saved.line(), "up");
        let seen = world.run(["snapshot", "create", &name, "limited"]);
        assert_eq!(seen.code, Some(0), "{}", seen.stderr);
        Running::of(world, &["snapshot", "restore", "-i", "limited"])
    });
}

#[test]
fn a_rate_that_can_not_be_kept_is_refused() {
    let world = World::new();
    let refused = |flags: &[&str], says: &[&str]| {
        let seen = world.run([&["run"], flags, &["busybox", "true"]].concat());
        assert_refused(&world, &seen, says);
    };
    refused(
        &["--network-rate", "1m"],
        &["--network-rate", "--network bridge"],
    );
    refused(
        &["--network", "host", "--network-rate", "1m"],
        &["--network-rate", "--network bridge"],
    );
    on_a_lan(|_| {
        let flags = ["--network", "bridge", "--network-rate", "1m", "--cap-add"];
        for capability in ["NET_ADMIN", "ALL"] {
            let says = ["--network-rate", "NET_ADMIN", "--as vm"];
            refused(&[&flags[..], &[capability]].concat(), &says);
        }
        let Some(ann) = Ann::new(Ranges::None) else {
            return;
        };
        let seen = ann.run(&[&["run"], &flags[..4], &["busybox", "true"]].concat());
        assert_refused(&ann.world, &seen, &["--network-rate", "root", "--as vm"]);
    });
}

#[test]
fn a_hosts_network_is_no_vms() {
    let world = World::new();
    let seen = see(
        world.jaula(["run", "--as", "vm", "--network", "host", "busybox", "true"]),
        b"",
    );
    assert_refused(&world, &seen, &["--network host", "--as vm"]);
}
