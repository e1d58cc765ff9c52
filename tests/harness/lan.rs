//! A host with a network of its own, so that the machine's stays as it is, and a neighbour that it
//! reaches, who has a name server.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;
use tempfile::TempDir;

use super::nobody::is_root;

/// What must come comes at once; what must not would have come by then.
const SOON: Duration = Duration::from_secs(3);

/// The host's address, and its neighbour's.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The only name that the neighbour's name server knows, and its address.
pub const NAME: &str = "web.example";
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

/// The host, as far as networks go: the calling thread is on it, and what it starts.
pub struct Lan {
    neighbour: File,
    dir: TempDir,
    ends: Arc<AtomicBool>,
}

/// Does something on such a host. Without the right to make one that is said, and nothing done.
pub fn on_a_lan(act: impl FnOnce(&Lan) + Send) {
    if !is_root() {
        return;
    }
    thread::scope(|scope| {
        let host = scope.spawn(|| act(&Lan::new()));
        if let Err(panic) = host.join() {
            resume_unwind(panic);
        }
    });
}

impl Lan {
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&Path>, "/", None::<&str>, flags, None::<&str>).unwrap();
        let lan = Self {
            neighbour: new_namespace(),
            dir: TempDir::new().unwrap(),
            ends: Arc::default(),
        };
        ip("link set lo up");
        // Made by the neighbour and moved here: this thread's number is known.
        let host = gettid();
        lan.at_the_neighbours(|| {
            ip("link set lo up");
            ip(&format!(
                "link add inside type veth peer name outside netns {host}"
            ));
            ip(&format!("addr add {NEIGHBOUR}/24 dev inside"));
            ip("link set inside up");
        });
        ip(&format!("addr add {HOST}/24 dev outside"));
        ip("link set outside up");
        ip(&format!("route add default via {NEIGHBOUR}"));
        lan.name_servers(&format!("nameserver {NEIGHBOUR}\n"));
        lan.serve_names();
        lan
    }

    /// What the host's `/etc/resolv.conf` says from now on.
    pub fn name_servers(&self, text: &str) {
        let file = self.dir.path().join("resolv.conf");
        let is_new = !file.exists();
        fs::write(&file, text).unwrap();
        if is_new {
            bind(&file, "/etc/resolv.conf");
        }
    }

    /// An empty directory instead of another one, as long as the host is there.
    pub fn hide(&self, dir: &str) {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("none"), dir, Some("tmpfs"), flags, None::<&str>).unwrap();
    }

    /// Nobody writes to a file as long as the host is there.
    pub fn keep_as_it_is(&self, file: &str) {
        bind(Path::new(file), file);
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, file, None::<&str>, flags, None::<&str>).unwrap();
    }

    /// A directory with nothing but these programs in it.
    pub fn only_programs(&self, names: &[&str]) -> PathBuf {
        let dir = self.dir.path().join(names.join("-"));
        if dir.exists() {
            return dir;
        }
        fs::create_dir(&dir).unwrap();
        let readable = Permissions::from_mode(0o755);
        fs::set_permissions(self.dir.path(), readable).unwrap();
        for name in names {
            let found = Command::new("sh")
                .args(["-c", "command -v \"$0\"", name])
                .output()
                .unwrap();
            let path = String::from_utf8(found.stdout).unwrap();
            assert!(!path.is_empty(), "there is no {name}");
            symlink(path.trim_end(), dir.join(name)).unwrap();
        }
        dir
    }

    /// Does something on the neighbour.
    pub fn at_the_neighbours<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        inside(&self.neighbour, act)
    }

    /// The neighbour answers the first connection to a port with the address that it comes from.
    pub fn neighbour_listens(&self, port: u16) {
        self.at_the_neighbours(|| serve_tcp(port));
    }

    /// The neighbour's name server.
    fn serve_names(&self) {
        let socket = self.at_the_neighbours(|| UdpSocket::bind((NEIGHBOUR, 53)).unwrap());
        let look_every = Duration::from_millis(100);
        socket.set_read_timeout(Some(look_every)).unwrap();
        let ends = Arc::clone(&self.ends);
        thread::spawn(move || {
            let mut query = [0; 512];
            while !ends.load(Ordering::Relaxed) {
                match socket.recv_from(&mut query) {
                    Ok((length, from)) => {
                        socket.send_to(&answer(&query[..length]), from).unwrap();
                    }
                    // A host that is frozen for a moment ends a wait with a timeout, signal(7).
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::Interrupted
                        ) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }

    /// Nothing on the host is left of any instance.
    pub fn assert_no_traces(&self) {
        let (rules, links) = (tool("nft", "list tables"), tool("ip", "-o link"));
        assert!(!rules.contains("jaula-"), "{rules}");
        assert!(!links.contains("jaula-"), "{links}");
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn bind(from: &Path, to: &str) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

/// A message of the DNS (RFC 1035) that answers one with a single question.
fn answer(query: &[u8]) -> Vec<u8> {
    let question = &query[12..];
    let name_length = question.iter().position(|byte| *byte == 0).unwrap() + 1;
    let (name, rest) = question.split_at(name_length);
    let is_a = rest[..2] == [0, 1];
    let expected: Vec<u8> = NAME
        .split('.')
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .chain([0])
        .collect();
    let is_known = name.eq_ignore_ascii_case(&expected);
    let answers = u8::from(is_known && is_a);
    let code = if is_known { 0 } else { 3 };
    let mut message = query[..2].to_vec();
    message.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    message.extend(&question[..name_length + 4]);
    if answers == 1 {
        // The name is the question's; an address, for a minute.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(ADDRESS.octets());
    }
    message
}

fn new_namespace() -> File {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let file = File::open("/proc/thread-self/ns/net").unwrap();
        sender.send(file).unwrap();
    });
    receiver.recv().unwrap()
}

/// Does something in a network namespace.
pub fn inside<T: Send>(namespace: &File, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Does something in the network namespace of a process.
pub fn inside_of<T: Send>(pid: &str, act: impl FnOnce() -> T + Send) -> T {
    inside(&File::open(format!("/proc/{pid}/ns/net")).unwrap(), act)
}

/// ip(8), on the calling thread's host.
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
pub fn serve_tcp(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        // Whoever asked may be gone.
        let _ = stream.write_all(from.ip().to_string().as_bytes());
    });
}

/// The same for a datagram.
pub fn serve_udp(port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    thread::spawn(move || {
        let (_, from) = socket.recv_from(&mut [0; 8]).unwrap();
        let _ = socket.send_to(from.ip().to_string().as_bytes(), from);
    });
}

/// Connects, and returns what the server there says; `None` if that is nothing.
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
    socket.send_to(b"?", to.into()).ok()?;
    let mut said = [0; 64];
    let length = loop {
        match socket.recv(&mut said) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => break received.ok()?,
        }
    };
    Some(String::from_utf8(said[..length].to_vec()).unwrap())
}
