use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use guest_protocol::port;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socket_with};

use crate::fatal::Fatal;

/// Sockets for the four connections, of which nobody but this process knows yet.
pub(crate) struct Sockets {
    control: OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Sockets {
    /// Makes them.
    pub(crate) fn open() -> Result<Self, Fatal> {
        let socket = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)
                .map_err(Fatal::when("making a socket"))
        };
        Ok(Self {
            control: socket()?,
            stdin: socket()?,
            stdout: socket()?,
            stderr: socket()?,
        })
    }

    /// Connects to the host's ports, to all at a time.
    pub(crate) fn connect(self) -> Result<Connections, Fatal> {
        let ports = [
            (&self.control, port::CONTROL),
            (&self.stdin, port::STDIN),
            (&self.stdout, port::STDOUT),
            (&self.stderr, port::STDERR),
        ];
        let connected = || {
            for (socket, port) in ports {
                begin_to_connect(socket.as_fd(), port)?;
            }
            // The last one first: when that is connected the others are, too.
            for (socket, _) in ports.into_iter().rev() {
                wait_until_connected(socket.as_fd())?;
            }
            // Who sends a part of a message sends the rest.
            ioctl_fionbio(&self.control, false)
        };
        connected().map_err(Fatal::when("connecting to the host"))?;
        Ok(Connections {
            control: self.control.into(),
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
        })
    }
}

/// The four connections to the host.
pub(crate) struct Connections {
    /// Framed messages. It blocks.
    pub(crate) control: File,
    // The others are never waited for but by poll.
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl Connections {
    /// Ends the output of a command that was never executed.
    pub(crate) fn end_outputs(&self) -> Result<(), Fatal> {
        for output in [&self.stdout, &self.stderr] {
            match shutdown(output, Shutdown::Write) {
                // The host was faster.
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(errno) => return Err(Fatal::when("ending an output")(errno)),
            }
        }
        Ok(())
    }
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
