use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use guest_protocol::Ports;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{Shutdown, shutdown};

/// A network namespace of its own, in which a guest's PID 1 finds us and nobody else: QEMU's network
/// hands on to the loopback interface what is for the gateway.
pub(super) struct Meeting {
    namespace: OwnedFd,
}

impl Meeting {
    pub(super) fn new() -> io::Result<Self> {
        let namespace = in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            entry::bring_loopback_up()
                .map_err(|failure| io::Error::from_raw_os_error(failure.errno))?;
            // The other threads are in another one: proc(5).
            Ok(File::open("/proc/thread-self/ns/net")?.into())
        })?;
        Ok(Self { namespace })
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Listens on the ports of a command.
    pub(super) fn listen(&self) -> io::Result<Listeners> {
        in_a_thread(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
            let Ports {
                control,
                stdin,
                stdout,
                stderr,
            } = Ports::COMMAND;
            Ok(Listeners {
                control: listen(control)?,
                stdin: listen(stdin)?,
                stdout: listen(stdout)?,
                stderr: listen(stderr)?,
            })
        })
    }
}

fn listen(port: u32) -> io::Result<TcpListener> {
    let port = u16::try_from(port).map_err(io::Error::other)?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// A thread can leave the network of the others; it must not come back.
fn in_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let joined = scope.spawn(work).join();
        joined.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    })
}

/// Where a guest's PID 1 connects to.
pub(super) struct Listeners {
    pub(super) control: TcpListener,
    pub(super) stdin: TcpListener,
    pub(super) stdout: TcpListener,
    pub(super) stderr: TcpListener,
}

impl Listeners {
    /// Nobody will come any more: who waits for somebody stops.
    pub(super) fn close(&self) {
        for listener in [&self.control, &self.stdin, &self.stdout, &self.stderr] {
            // One that nobody waits on is closed as well.
            let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
        }
    }
}
