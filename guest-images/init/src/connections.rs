use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use guest_protocol::{OVER_TCP, Ports, TCP_INTERFACE};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_error;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, connect, shutdown, socket_with,
};

use crate::fatal::Fatal;
use crate::network;

/// How the host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In our own monitor.
    Vsock,
    /// In another one.
    Tcp,
}

impl Way {
    /// What the kernel's command line says, whose words are the arguments of PID 1.
    pub(crate) fn of_words(words: &[CString]) -> Self {
        match words
            .iter()
            .any(|word| word.as_bytes() == OVER_TCP.as_bytes())
        {
            true => Self::Tcp,
            false => Self::Vsock,
        }
    }
}

/// Sockets for the four connections of the first command, of which nobody but this process knows
/// yet.
pub(crate) struct Sockets {
    way: Way,
    control: OwnedFd,
    streams: [OwnedFd; 3],
}

impl Sockets {
    /// Makes them.
    pub(crate) fn open(way: Way) -> Result<Self, Fatal> {
        let made = || {
            Ok::<_, Errno>(Self {
                way,
                control: socket(way)?,
                streams: [socket(way)?, socket(way)?, socket(way)?],
            })
        };
        made().map_err(Fatal::when("making a socket"))
    }

    /// Connects to the host's ports, to all at a time.
    pub(crate) fn connect(self) -> Result<Connections, Fatal> {
        let Ports {
            control,
            stdin,
            stdout,
            stderr,
        } = Ports::COMMAND;
        let [to_stdin, to_stdout, to_stderr] = &self.streams;
        if self.way == Way::Tcp {
            network::configure(&TCP_INTERFACE)
                .map_err(Fatal::when("setting up the interface to the host"))?;
        }
        let sockets = [
            (&self.control, control),
            (to_stdin, stdin),
            (to_stdout, stdout),
            (to_stderr, stderr),
        ];
        let connected = connect_all(self.way, sockets);
        // Who sends a part of a message sends the rest.
        connected
            .and_then(|()| ioctl_fionbio(&self.control, false))
            .map_err(Fatal::when("connecting to the host"))?;
        Ok(Connections {
            control: self.control.into(),
            streams: Streams(self.streams),
        })
    }
}

/// The connections of a command to the host.
pub(crate) struct Connections {
    /// Framed messages. It blocks.
    pub(crate) control: File,
    pub(crate) streams: Streams,
}

/// The connections that are a command's input, output and error. They are never waited for but by
/// poll.
pub(crate) struct Streams(pub(crate) [OwnedFd; 3]);

impl Streams {
    /// Connects those of a session.
    pub(crate) fn connect(ports: Ports) -> Result<Self, Errno> {
        let way = Way::Vsock;
        let sockets = [socket(way)?, socket(way)?, socket(way)?];
        let [stdin, stdout, stderr] = &sockets;
        let wanted = [
            (stdin, ports.stdin),
            (stdout, ports.stdout),
            (stderr, ports.stderr),
        ];
        connect_all(way, wanted)?;
        Ok(Self(sockets))
    }

    /// Ends the output of a command that was never executed.
    pub(crate) fn end_outputs(&self) -> Result<(), Errno> {
        let [_, stdout, stderr] = &self.0;
        end(stdout)?;
        end(stderr)
    }

    /// Ends the output that is not there beside a terminal.
    pub(crate) fn end_stderr(&self) -> Result<(), Errno> {
        let [_, _, stderr] = &self.0;
        end(stderr)
    }
}

fn end(output: &OwnedFd) -> Result<(), Errno> {
    match shutdown(output, Shutdown::Write) {
        // The host was faster.
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Connects a session's control connection, which blocks, as that of the first command does.
pub(crate) fn connect_control(ports: Ports) -> Result<File, Errno> {
    let control = socket(Way::Vsock)?;
    connect_all(Way::Vsock, [(&control, ports.control)])?;
    ioctl_fionbio(&control, false)?;
    Ok(control.into())
}

fn socket(way: Way) -> Result<OwnedFd, Errno> {
    let family = match way {
        Way::Vsock => AddressFamily::VSOCK,
        Way::Tcp => AddressFamily::INET,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if way == Way::Vsock {
        be_patient(socket.as_fd())?;
    }
    Ok(socket)
}

/// How long the monitor may take to accept a connection. It is there, and its end is that of this
/// machine, but on a busy host it may not run for longer than the two seconds after which the kernel
/// gives up (`VSOCK_DEFAULT_CONNECT_TIMEOUT`, net/vmw_vsock/af_vsock.c).
const PATIENCE_S: i64 = 600;

/// `SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD`, include/uapi/linux/vm_sockets.h: a `timeval`.
const CONNECT_TIMEOUT: libc::c_int = 6;

fn be_patient(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let patience = libc::timeval {
        tv_sec: PATIENCE_S,
        tv_usec: 0,
    };
    // SAFETY: `patience` lives through the call, and the size is its own.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::AF_VSOCK,
            CONNECT_TIMEOUT,
            (&raw const patience).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

fn connect_all<const N: usize>(way: Way, sockets: [(&OwnedFd, u32); N]) -> Result<(), Errno> {
    for (socket, port) in sockets {
        let begun = match way {
            Way::Vsock => begin_to_connect(socket.as_fd(), port),
            Way::Tcp => begin_to_connect_over_tcp(socket.as_fd(), port),
        };
        match begun {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
    }
    // The last one first: when that is connected the others are, too.
    for (socket, _) in sockets.into_iter().rev() {
        wait_until_connected(socket.as_fd())?;
    }
    Ok(())
}

/// Asks for a connection to a port of the host's, `vsock(7)`.
fn begin_to_connect(socket: BorrowedFd<'_>, port: u32) -> Result<(), Errno> {
    // SAFETY: sockaddr_vm is plain numbers, for which all zero is valid.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = libc::VMADDR_CID_HOST;
    address.svm_port = port;
    // SAFETY: `address` lives through the call, and the size is its own.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_vm>() as libc::socklen_t,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(last_errno())
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn begin_to_connect_over_tcp(socket: BorrowedFd<'_>, port: u32) -> Result<(), Errno> {
    let port = u16::try_from(port).map_err(|_| Errno::ADDRNOTAVAIL)?;
    connect(socket, &SocketAddrV4::new(TCP_INTERFACE.gateway, port))
}

fn wait_until_connected(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    loop {
        match poll(
            &mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)],
            None,
        ) {
            Ok(_) => return socket_error(socket)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_waits_longer_for_the_monitor_than_the_kernel_would() {
        let socket = match socket(Way::Vsock) {
            Ok(socket) => socket,
            Err(Errno::AFNOSUPPORT) => {
                eprintln!("skipped: this kernel has no vsock");
                return;
            }
            Err(errno) => panic!("{errno}"),
        };
        let mut patience = libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        let mut bytes = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: both live through the call, and `bytes` is the size of `patience`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::AF_VSOCK,
                CONNECT_TIMEOUT,
                (&raw mut patience).cast(),
                &raw mut bytes,
            )
        };
        assert_eq!((result, patience.tv_sec), (0, PATIENCE_S));
    }

    #[test]
    fn a_word_of_the_kernels_command_line_says_how_the_host_is_reached() {
        for (words, expected) in [
            (&[c"/init"][..], Way::Vsock),
            (&[c"/init", c"single"], Way::Vsock),
            (&[c"/init", c"single", c"over_tcp"], Way::Tcp),
        ] {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(Way::of_words(&words), expected);
        }
    }
}
