use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{SpliceFlags, splice};

/// Most that one system call moves, in bytes: what a pipe holds (`pipe(7)`).
const MAX_BYTES: usize = 64 << 10;

/// Most system calls in a row for one stream, so that the others get their turn.
const MAX_ROUNDS: u32 = 4;

/// Which end is to be heard from before more can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    Source,
    Sink,
}

/// One of the command's standard streams: a pipe of the command's and a connection to the host,
/// between which bytes are moved without being copied to this process.
///
/// When the source ends, the sink is ended; when nobody reads the sink any more, the source is
/// closed, so that whoever writes to it learns.
pub(crate) struct Stream {
    direction: Direction,
    /// Our end of the pipe; `None` when the stream has ended.
    pipe: Option<OwnedFd>,
    /// Stays open.
    socket: OwnedFd,
    waits_for: WaitsFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// Standard input.
    ToCommand,
    /// Standard output or error.
    ToHost,
}

impl Stream {
    /// From the host to the command. The socket does not block.
    pub(crate) fn to_command(socket: OwnedFd, pipe: OwnedFd) -> Self {
        Self::new(Direction::ToCommand, pipe, socket)
    }

    /// From the command to the host. The socket does not block.
    pub(crate) fn to_host(pipe: OwnedFd, socket: OwnedFd) -> Self {
        Self::new(Direction::ToHost, pipe, socket)
    }

    fn new(direction: Direction, pipe: OwnedFd, socket: OwnedFd) -> Self {
        Self {
            direction,
            pipe: Some(pipe),
            socket,
            waits_for: WaitsFor::Source,
        }
    }

    /// Source and sink, if it has not ended.
    fn ends(&self) -> Option<[BorrowedFd<'_>; 2]> {
        let (pipe, socket) = (self.pipe.as_ref()?.as_fd(), self.socket.as_fd());
        Some(match self.direction {
            Direction::ToCommand => [socket, pipe],
            Direction::ToHost => [pipe, socket],
        })
    }

    /// Whether nothing will be moved any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Whether nothing will be sent to the host any more.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.has_ended() || self.direction == Direction::ToCommand
    }

    /// Whether the command wrote what was not sent yet.
    pub(crate) fn has_more(&self) -> Result<bool, Errno> {
        match (&self.pipe, self.direction) {
            (Some(pipe), Direction::ToHost) => Ok(ioctl_fionread(pipe)? > 0),
            _ => Ok(false),
        }
    }

    /// What has to be polled for it: source and sink, if it has not ended.
    pub(crate) fn interest(&self) -> Option<[PollFd<'_>; 2]> {
        let ends = self.ends()?;
        // The sink's end is always of interest. The host sends nothing on an output, so it is
        // said to have hung up when it has closed the connection.
        let (source, sink) = match self.waits_for {
            WaitsFor::Source => (PollFlags::IN, PollFlags::RDHUP),
            WaitsFor::Sink => (PollFlags::empty(), PollFlags::OUT | PollFlags::RDHUP),
        };
        Some([
            PollFd::from_borrowed_fd(ends[0], source),
            PollFd::from_borrowed_fd(ends[1], sink),
        ])
    }

    /// Moves what can be moved, given what poll found of source and sink.
    pub(crate) fn react(&mut self, source: PollFlags, sink: PollFlags) -> Result<(), Errno> {
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::RDHUP;
        if sink.intersects(gone) {
            return self.end(Why::SinkGone);
        }
        let ready = match self.waits_for {
            WaitsFor::Source => !source.is_empty(),
            WaitsFor::Sink => sink.contains(PollFlags::OUT),
        };
        if !ready {
            return Ok(());
        }
        let mut has_moved = false;
        for _ in 0..MAX_ROUNDS {
            let Some([source, sink]) = self.ends() else {
                break;
            };
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match splice(source, None, sink, None, MAX_BYTES, flags) {
                Ok(0) => return self.end(Why::SourceEnded),
                Ok(bytes) => {
                    self.waits_for = WaitsFor::Source;
                    has_moved = true;
                    if bytes < MAX_BYTES {
                        break;
                    }
                }
                // It is not said whether the source had nothing or the sink took nothing. After
                // something was moved it is most likely the source; else it is the end that was
                // not waited for.
                Err(Errno::AGAIN) => {
                    self.waits_for = match self.waits_for {
                        WaitsFor::Source if !has_moved => WaitsFor::Sink,
                        _ => WaitsFor::Source,
                    };
                    break;
                }
                Err(Errno::INTR) => {}
                // The signal that comes with EPIPE is nothing to PID 1, which has no handler for it.
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return self.end(Why::SinkGone);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Ends the stream. The pipe is closed; the connection stays, but says that it is done.
    fn end(&mut self, why: Why) -> Result<(), Errno> {
        let was_open = self.pipe.take().is_some();
        let done = match (self.direction, why) {
            (Direction::ToHost, Why::SourceEnded) if was_open => {
                shutdown(&self.socket, Shutdown::Write)
            }
            (Direction::ToCommand, Why::SinkGone) if was_open => {
                shutdown(&self.socket, Shutdown::Both)
            }
            _ => Ok(()),
        };
        match done {
            // The host was faster.
            Err(Errno::NOTCONN) => Ok(()),
            result => result,
        }
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Everything was moved.
    SourceEnded,
    /// Nobody reads.
    SinkGone,
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use rustix::event::poll;
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn connection() -> (UnixStream, UnixStream) {
        let (guest, host) = UnixStream::pair().unwrap();
        guest.set_nonblocking(true).unwrap();
        (guest, host)
    }

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC).unwrap()
    }

    /// Polls and reacts until the stream has ended.
    fn run(mut stream: Stream) {
        while let Some(mut fds) = stream.interest() {
            poll(&mut fds, None).unwrap();
            let [source, sink] = [fds[0].revents(), fds[1].revents()];
            stream.react(source, sink).unwrap();
        }
    }

    /// More than a pipe and a socket buffer hold, with a pattern that shows what is lost.
    fn megabyte() -> Vec<u8> {
        (0..1 << 20)
            .map(|index: u32| ((index * 7) >> 3) as u8)
            .collect()
    }

    #[test]
    fn all_that_the_command_writes_reaches_the_host_and_then_its_end() {
        let (guest, mut host) = connection();
        let (reader, writer) = pipe();
        thread::scope(|scope| {
            scope.spawn(|| File::from(writer).write_all(&megabyte()).unwrap());
            scope.spawn(|| run(Stream::to_host(reader, guest.into())));
            let mut received = Vec::new();
            host.read_to_end(&mut received).unwrap();
            assert!(received == megabyte());
        });
    }

    #[test]
    fn all_that_the_host_writes_reaches_the_command_and_then_its_end() {
        let (guest, mut host) = connection();
        let (reader, writer) = pipe();
        thread::scope(|scope| {
            scope.spawn(move || {
                host.write_all(&megabyte()).unwrap();
                host.shutdown(std::net::Shutdown::Write).unwrap();
                // It stays open, as the monitor's does.
                host.read_to_end(&mut Vec::new()).unwrap();
            });
            scope.spawn(|| {
                let stays = guest.try_clone().unwrap();
                run(Stream::to_command(guest.into(), writer));
                stays.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            File::from(reader).read_to_end(&mut received).unwrap();
            assert!(received == megabyte());
        });
    }

    #[test]
    fn when_the_host_hangs_up_the_command_writes_in_vain() {
        let (guest, host) = connection();
        let (reader, writer) = pipe();
        drop(host);
        run(Stream::to_host(reader, guest.into()));
        let error = File::from(writer).write(b"x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn when_the_command_closes_its_input_the_host_writes_in_vain() {
        let (guest, mut host) = connection();
        let (reader, writer) = pipe();
        drop(reader);
        run(Stream::to_command(guest.into(), writer));
        let error = host.write(b"x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_full_sink_is_waited_for_and_the_source_is_not_asked_meanwhile() {
        let (guest, _host) = connection();
        let (reader, writer) = pipe();
        let mut writer = File::from(writer);
        let mut stream = Stream::to_host(reader, guest.into());
        // The socket's buffer is full after a few rounds.
        while stream.waits_for == WaitsFor::Source {
            writer.write_all(&[0; 4096]).unwrap();
            stream.react(PollFlags::IN, PollFlags::empty()).unwrap();
        }
        let mut fds = stream.interest().unwrap();
        let at_once = rustix::event::Timespec::default();
        assert_eq!(poll(&mut fds, Some(&at_once)).unwrap(), 0, "{fds:?}");
    }
}
