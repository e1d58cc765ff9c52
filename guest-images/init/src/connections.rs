use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use guest_protocol::Ports;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socket_with};

use crate::fatal::Fatal;

/// Sockets for the four connections of the first command, of which nobody but this process knows
/// yet.
pub(crate) struct Sockets {
    control: OwnedFd,
    streams: [OwnedFd; 3],
}

impl Sockets {
    /// Makes them.
    pub(crate) fn open() -> Result<Self, Fatal> {
        let made = || {
            Ok::<_, Errno>(Self {
                control: socket()?,
                streams: [socket()?, socket()?, socket()?],
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
        let connected = connect_all([
            (&self.control, control),
            (to_stdin, stdin),
            (to_stdout, stdout),
            (to_stderr, stderr),
        ]);
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
        let sockets = [socket()?, socket()?, socket()?];
        let [stdin, stdout, stderr] = &sockets;
        connect_all([
            (stdin, ports.stdin),
            (stdout, ports.stdout),
            (stderr, ports.stderr),
        ])?;
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
    let control = socket()?;
    connect_all([(&control, ports.control)])?;
    ioctl_fionbio(&control, false)?;
    Ok(control.into())
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)
}

fn connect_all<const N: usize>(sockets: [(&OwnedFd, u32); N]) -> Result<(), Errno> {
    for (socket, port) in sockets {
        begin_to_connect(socket.as_fd(), port)?;
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
    match Errno::from_io_error(&io::Error::last_os_error()) {
        Some(Errno::INPROGRESS) => Ok(()),
        Some(errno) => Err(errno),
        None => Err(Errno::IO),
    }
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
