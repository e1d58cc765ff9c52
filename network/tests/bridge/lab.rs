//! A host with a network of its own, so that the machine's stays as it is.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use host::{InstanceDir, RunDir};
use launch::{Port, PortRange, Protocol, PublishedPort};
use network::{Bridge, Connection, Namespace, Publication, Reservation};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{geteuid, gettid};
use tempfile::TempDir;

/// What must come comes at once; what must not would have come by then.
pub const SOON: Duration = Duration::from_secs(3);

/// The host's address, and that of a machine beside it.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const WORLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The calling thread is in the host's network namespace.
pub struct Lab {
    pub run: RunDir,
    pub world: Namespace,
    _dir: TempDir,
}

/// What is dropped from top to bottom.
pub struct Instance {
    pub publication: Option<Publication>,
    pub connection: Connection,
    pub namespace: Namespace,
    _dir: InstanceDir,
}

impl Lab {
    /// `None`, and a word about it, without the right to make one.
    pub fn new() -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: needs root");
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let world = new_namespace();
        ip("link set lo up");
        // Made in the world and moved to the host, whose thread's number is known.
        let host = gettid().to_string();
        inside(&world, || {
            ip("link set lo up");
            ip(&format!(
                "link add inside type veth peer name outside netns {host}"
            ));
            ip(&format!("addr add {WORLD}/24 dev inside"));
            ip("link set inside up");
        });
        ip(&format!("addr add {HOST}/24 dev outside"));
        ip("link set outside up");
        ip(&format!("route add default via {WORLD}"));
        let dir = TempDir::new().unwrap();
        Some(Self {
            run: RunDir::at(dir.path().join("run")).unwrap(),
            world,
            _dir: dir,
        })
    }

    pub fn instance(&self, bridge: &mut Bridge, name: &str, ports: &[PublishedPort]) -> Instance {
        let dir = self.run.create(Some(&name.parse().unwrap())).unwrap();
        let reservation = Reservation::take(ports).unwrap();
        let mut namespace = new_namespace();
        let connection = bridge.connect(&mut namespace, dir.id(), None).unwrap();
        let publication =
            reservation.map(|ports| ports.publish(connection.address(), &dir).unwrap());
        Instance {
            publication,
            connection,
            namespace,
            _dir: dir,
        }
    }
}

pub fn new_namespace() -> Namespace {
    Namespace::begin().unwrap().finish().unwrap()
}

/// Does something in a network namespace.
pub fn inside<T: Send>(namespace: &Namespace, act: impl FnOnce() -> T + Send) -> T {
    let namespace = namespace.as_fd();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// ip(8), in the calling thread's network namespace.
pub fn ip(words: &str) {
    tool("ip", words);
}

/// Runs a tool there, and returns what it printed.
pub fn tool(program: &str, words: &str) -> String {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Answers the first connection to `port` with the address that it came from.
pub fn serve_tcp(port: u16) -> thread::JoinHandle<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        stream.write_all(from.ip().to_string().as_bytes()).unwrap();
    })
}

/// The same for a datagram.
pub fn serve_udp(port: u16) -> thread::JoinHandle<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    thread::spawn(move || {
        let (_, from) = socket.recv_from(&mut [0; 8]).unwrap();
        socket
            .send_to(from.ip().to_string().as_bytes(), from)
            .unwrap();
    })
}

/// Connects, and returns what the server there says.
pub fn ask_tcp(to: impl Into<SocketAddr>) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to.into(), SOON).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said).filter(|said| !said.is_empty())
}

/// Sends a datagram, and returns what comes back.
pub fn ask_udp(to: impl Into<SocketAddr>) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send_to(b"?", to.into()).unwrap();
    let mut said = [0; 64];
    // A host that is frozen for a moment ends a wait with a timeout, signal(7).
    let length = loop {
        match socket.recv(&mut said) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => break received.ok()?,
        }
    };
    Some(String::from_utf8(said[..length].to_vec()).unwrap())
}

/// A port to publish.
pub fn publish(
    host_address: Ipv4Addr,
    host_port: impl Into<Option<u16>>,
    instance_port: u16,
    protocol: Protocol,
) -> PublishedPort {
    PublishedPort {
        host_address: host_address.into(),
        host_ports: host_port
            .into()
            .map(|port| PortRange::new(port, port).unwrap()),
        port: Port {
            number: instance_port,
            protocol,
        },
    }
}
