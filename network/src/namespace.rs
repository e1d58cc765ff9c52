//! A network namespace that nobody is in yet.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::error::Error;
use crate::route_socket::RouteSocket;
use crate::sysctl;

/// What docker lets every user in a network namespace of its own do, too: listen on any port,
/// and ping.
const SETTINGS: [(&str, &str); 2] = [
    ("ipv4/ip_unprivileged_port_start", "0"),
    ("ipv4/ping_group_range", "0 2147483647"),
];

/// Keeps IPv6 addresses off all interfaces but the loopback one: there is no way out for them.
const NO_IPV6: (&str, &str) = ("conf/default/disable_ipv6", "1");

/// A new network namespace, which lasts as long as this or a process in it does.
pub struct Namespace {
    file: File,
    /// Of the namespace: what is asked on it, is asked of that.
    pub(crate) socket: RouteSocket,
}

/// One that is being made, beside what else is done.
pub struct PendingNamespace(JoinHandle<Result<Namespace, Error>>);

impl Namespace {
    /// Begins to make one, which takes the kernel milliseconds.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub fn begin() -> Result<PendingNamespace, Error> {
        // A network namespace is a thread's: this one enters the new one, and nobody else does.
        thread::Builder::new()
            .name("network".into())
            .spawn(Self::make)
            .map(PendingNamespace)
            .map_err(Error::Thread)
    }

    fn make() -> Result<Self, Error> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(Error::Namespace)?;
        for (setting, value) in SETTINGS {
            sysctl::set(setting, value)?;
        }
        sysctl::set_ipv6(NO_IPV6.0, NO_IPV6.1)?;
        Ok(Self {
            file: File::open("/proc/thread-self/ns/net").map_err(Error::NamespaceFile)?,
            socket: RouteSocket::open().map_err(Error::Socket)?,
        })
    }
}

impl PendingNamespace {
    /// Waits until it is made.
    ///
    /// # Errors
    ///
    /// When that failed.
    pub fn finish(self) -> Result<Namespace, Error> {
        // A thread that panicked has told so already.
        self.0
            .join()
            .unwrap_or(Err(Error::Namespace(Errno::ECANCELED)))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
