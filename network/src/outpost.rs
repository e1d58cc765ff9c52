//! A process in a user namespace and a network namespace of its own, in which whoever started it may
//! do all that root may: an ordinary user's way to interfaces.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socket_with,
    socketpair,
};

use crate::error::Error;
use crate::route_socket::RouteSocket;
use crate::tap::DEVICE;

/// The process. It does nothing, and is gone when this is dropped.
pub(crate) struct Outpost {
    pid: Pid,
    /// Its end is what the process waits for.
    line: Option<OwnedFd>,
}

/// What was opened in the network namespace, and so is of that wherever it is used. That may be here:
/// who has made a user namespace may do everything in it from outside (user_namespaces(7)).
pub(crate) struct Opened {
    pub(crate) routes: RouteSocket,
    /// For a tap.
    pub(crate) tun: File,
    /// The namespace.
    pub(crate) namespace: File,
}

/// How far the process got.
#[derive(Clone, Copy)]
enum Step {
    Namespaces,
    Routes,
    Tun,
    All,
}

impl Outpost {
    /// Starts it, and has it open what is needed.
    ///
    /// # Errors
    ///
    /// When ordinary users may make no namespaces here, or no taps.
    pub(crate) fn start() -> Result<(Self, Opened), Error> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| Error::Namespace(as_nix(errno)))?;
        // SAFETY: the child makes system calls only, and ends by `_exit`.
        match unsafe { fork() }.map_err(Error::Namespace)? {
            ForkResult::Child => {
                drop(ours);
                stay(&theirs);
                // SAFETY: ends the process, and takes a number.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let outpost = Self {
                    pid: child,
                    line: Some(ours),
                };
                let opened = outpost.opened()?;
                outpost.map_ids().map_err(Error::UserNamespace)?;
                Ok((outpost, opened))
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    fn opened(&self) -> Result<Opened, Error> {
        let cut = || Error::Namespace(Errno::ECANCELED);
        let line = self.line.as_ref().ok_or_else(cut)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut said = [0; SAID_BYTES];
        let received = recvmsg(
            line,
            &mut [IoSliceMut::new(&mut said)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .map_err(|errno| Error::Namespace(as_nix(errno)))?;
        let [step, errno @ ..] = said;
        let errno = Errno::from_raw(i32::from_ne_bytes(errno));
        if received.bytes != SAID_BYTES {
            return Err(cut());
        }
        match step {
            step if step == Step::Namespaces as u8 => return Err(Error::Namespace(errno)),
            step if step == Step::Routes as u8 => return Err(Error::Socket(errno)),
            step if step == Step::Tun as u8 => return Err(Error::TapDevice(errno.into())),
            _ => {}
        }
        let mut descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let (routes, tun) = descriptors.next().zip(descriptors.next()).ok_or_else(cut)?;
        Ok(Opened {
            routes: RouteSocket::of(routes).map_err(Error::Socket)?,
            tun: tun.into(),
            namespace: File::open(format!("/proc/{}/ns/net", self.pid))
                .map_err(Error::NamespaceFile)?,
        })
    }

    /// The caller is root there, and there is nobody else: programs that enter look at who they are.
    fn map_ids(&self) -> io::Result<()> {
        let file = |name: &str| format!("/proc/{}/{name}", self.pid);
        fs::write(file("setgroups"), "deny")?;
        fs::write(file("uid_map"), format!("0 {} 1", geteuid()))?;
        fs::write(file("gid_map"), format!("0 {} 1", getegid()))
    }
}

impl Drop for Outpost {
    fn drop(&mut self) {
        drop(self.line.take());
        // It is a child that has nothing else to do.
        let _ = waitpid(self.pid, None);
    }
}

/// What the process says: a [`Step`], and the errno of what failed.
const SAID_BYTES: usize = 1 + size_of::<i32>();

/// The child's life. Makes system calls and nothing else.
fn stay(line: &OwnedFd) {
    let (step, errno) = match open() {
        Ok((routes, tun)) => {
            let descriptors = [routes.as_fd(), tun.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            let said = [IoSlice::new(&[Step::All as u8, 0, 0, 0, 0])];
            match sendmsg(line, &said, &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return wait(line),
                Err(errno) => (Step::Namespaces, errno.raw_os_error()),
            }
        }
        Err(failed) => failed,
    };
    let [a, b, c, d] = errno.to_ne_bytes();
    // Who does not hear it sees the end.
    let _ = send(line, &[step as u8, a, b, c, d], SendFlags::NOSIGNAL);
}

fn open() -> Result<(OwnedFd, OwnedFd), (Step, i32)> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| (Step::Namespaces, errno as i32))?;
    let routes = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // Number 0, which is rtnetlink(7).
        None,
    )
    .map_err(|errno| (Step::Routes, errno.raw_os_error()))?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let tun = rustix::fs::open(DEVICE, flags, rustix::fs::Mode::empty())
        .map_err(|errno| (Step::Tun, errno.raw_os_error()))?;
    Ok((routes, tun))
}

/// Nothing is ever written to it.
fn wait(line: &OwnedFd) {
    while rustix::io::read(line, &mut [0]) == Err(rustix::io::Errno::INTR) {}
}

fn as_nix(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}
