use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};

use guest_protocol::port;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socket_with};

use crate::fatal::Fatal;

/// The four connections to the host.
pub(crate) struct Connections {
    /// Framed messages. It blocks: who sends a part of a message sends the rest.
    pub(crate) control: File,
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl Connections {
    /// Connects to the host's ports.
    pub(crate) fn open() -> Result<Self, Fatal> {
        Ok(Self {
            control: connect(port::CONTROL)
                .map_err(Fatal::when("connecting to the host"))?
                .into(),
            stdin: stream(port::STDIN)?,
            stdout: stream(port::STDOUT)?,
            stderr: stream(port::STDERR)?,
        })
    }

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

/// A connection that is never waited for but by poll.
fn stream(port: u32) -> Result<OwnedFd, Fatal> {
    let nonblocking = || {
        let socket = connect(port)?;
        ioctl_fionbio(&socket, true)?;
        Ok::<_, io::Error>(socket)
    };
    nonblocking().map_err(Fatal::when("connecting a standard stream to the host"))
}

/// Connects to a port of the host's, `vsock(7)`.
fn connect(port: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::VSOCK,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
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
    match result {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}
