//! The socket pair between launcher and monitor: messages in packets, the first with
//! descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    recvmsg, send, sendmsg, shutdown, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest packet: the longest text of a failure, and some.
const MAX_PACKET_BYTES: usize = 8192;
/// Most descriptors that come at once: what a packet takes (`SCM_MAX_FD` of the kernel's
/// `include/net/scm.h`).
pub(crate) const MAX_DESCRIPTORS: usize = 253;

/// Why nothing can be sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The socket failed, or the other end is gone.
    #[error("the connection between launcher and monitor broke")]
    Socket(#[from] Errno),
    /// A packet is none of the messages.
    #[error("launcher and monitor do not understand each other")]
    Malformed(#[from] postcard::Error),
}

/// What was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<T> {
    /// A message.
    Message(T),
    /// The other end is closed.
    Closed,
    /// Nothing, for now.
    Nothing,
}

/// One end. Sending and receiving take `&self`: packets are never mixed up.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Both ends, each closed by `execve`.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Self::new(ours), theirs))
    }

    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends a message. It waits only if the other end left some hundred unread.
    pub(crate) fn send(&self, message: &impl Serialize) -> Result<(), ChannelError> {
        let packet = postcard::to_stdvec(message)?;
        retry(|| send(self.socket.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL))?;
        Ok(())
    }

    /// Takes the next message, if there is one.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, ChannelError> {
        let mut packet = [0; MAX_PACKET_BYTES];
        let received = retry(|| {
            nix::sys::socket::recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT)
        });
        match received {
            Ok(0) | Err(Errno::ECONNRESET) => Ok(Received::Closed),
            Ok(bytes) => Ok(Received::Message(postcard::from_bytes(&packet[..bytes])?)),
            Err(Errno::EAGAIN) => Ok(Received::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for the next message; `None` if the other end is closed, or `timeout` has passed.
    pub(crate) fn receive_within<T: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<T>, ChannelError> {
        let timeout = poll_timeout(timeout);
        loop {
            match self.receive()? {
                Received::Message(message) => return Ok(Some(message)),
                Received::Closed => return Ok(None),
                Received::Nothing => {}
            }
            let mut source = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            if retry(|| poll(&mut source, timeout))? == 0 {
                return Ok(None);
            }
        }
    }

    /// Whether there is something to be received, or the end, before `timeout` has passed, or
    /// at least some of it.
    pub(crate) fn is_readable_within(
        &self,
        timeout: Option<Duration>,
    ) -> Result<bool, ChannelError> {
        let timeout = poll_timeout(timeout);
        let mut source = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        Ok(retry(|| poll(&mut source, timeout))? > 0)
    }

    /// Ends it for all who have this end, too. What was sent can be received still.
    pub(crate) fn end(&self) {
        // It fails only if the other end is gone.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }

    /// Sends descriptors, in a packet of their own.
    pub(crate) fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        // A packet without a byte would look like the end.
        let bytes = [IoSlice::new(&[0])];
        retry(|| {
            sendmsg::<()>(
                self.socket.as_raw_fd(),
                &bytes,
                &[ControlMessage::ScmRights(&raw)],
                MsgFlags::MSG_NOSIGNAL,
                None,
            )
        })?;
        Ok(())
    }

    /// Waits for the packet with descriptors; `None` if the other end is closed.
    pub(crate) fn receive_descriptors(&self) -> Result<Option<Vec<OwnedFd>>, Errno> {
        let mut byte = [0];
        let mut bytes = [IoSliceMut::new(&mut byte)];
        let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let message = loop {
            match recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut bytes,
                Some(&mut space),
                MsgFlags::MSG_CMSG_CLOEXEC,
            ) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        if message.bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = control {
                descriptors.extend(received.into_iter().map(|raw| {
                    // SAFETY: the kernel made this descriptor for us with this message; nobody
                    // else in this process knows of it.
                    unsafe { OwnedFd::from_raw_fd(raw) }
                }));
            }
        }
        Ok(Some(descriptors))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn poll_timeout(timeout: Option<Duration>) -> PollTimeout {
    // Rounded up, so that the last part of a millisecond is not spent polling.
    let ms = timeout.map(|timeout| timeout.as_micros().div_ceil(1000));
    ms.map_or(PollTimeout::NONE, |ms| {
        PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
    })
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::monitor::ToMonitor;

    fn pair() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (ours, Channel::new(theirs))
    }

    #[test]
    fn messages_come_in_order_and_then_the_end() {
        let (a, b) = pair();
        assert_eq!(b.receive::<ToMonitor>().unwrap(), Received::Nothing);
        for number in [1, 2] {
            a.send(&ToMonitor::Signal(number)).unwrap();
        }
        drop(a);
        for number in [1, 2] {
            assert_eq!(
                b.receive().unwrap(),
                Received::Message(ToMonitor::Signal(number))
            );
        }
        assert_eq!(b.receive::<ToMonitor>().unwrap(), Received::Closed);
    }

    #[test]
    fn descriptors_arrive_in_order() {
        let (a, b) = pair();
        let mut files: Vec<_> = (0..MAX_DESCRIPTORS)
            .map(|_| tempfile::tempfile().unwrap())
            .collect();
        for (number, file) in (0u8..).zip(&mut files) {
            file.write_all(&[number]).unwrap();
        }
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        a.send_descriptors(&borrowed).unwrap();
        let received = b.receive_descriptors().unwrap().unwrap();
        for (number, fd) in (0u8..).zip(received) {
            use std::os::unix::fs::FileExt;
            let mut byte = [0xff];
            let file = File::from(fd);
            file.read_exact_at(&mut byte, 0).unwrap();
            let _ = (&file).read(&mut []);
            assert_eq!(byte, [number]);
        }
        drop(a);
        assert!(b.receive_descriptors().unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (a, b) = pair();
        a.send(&(0xffu8, 0xffu8)).unwrap();
        assert!(matches!(
            b.receive::<ToMonitor>(),
            Err(ChannelError::Malformed(_))
        ));
    }
}
