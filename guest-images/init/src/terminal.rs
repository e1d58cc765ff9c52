//! A command's terminal, between its master and the connections to the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use entry::pseudoterminal;
use launch::WindowSize;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::interest::{Found, Interest};

/// Most that one system call moves, in bytes: as much as a terminal gives.
const CHUNK_BYTES: usize = 4096;

/// A terminal that is carried. It is hung up, as when a window is closed, when nobody reads any
/// more what it shows, or when the host says so.
pub(crate) struct Terminal {
    /// `None` when it was hung up.
    ends: Option<Ends>,
    typed: Chunk,
    shown: Chunk,
    /// Whether the host may still type; that it does not is nothing that a terminal knows of.
    is_typed_to: bool,
    /// What is typed, and what is shown.
    sockets: [OwnedFd; 2],
}

struct Ends {
    master: OwnedFd,
    /// While we have it open, a command that closes all of its own may open it again.
    _other: OwnedFd,
}

/// Bytes that were taken from a source and not all given to the sink.
struct Chunk {
    bytes: [u8; CHUNK_BYTES],
    from: usize,
    to: usize,
}

impl Chunk {
    const EMPTY: Self = Self {
        bytes: [0; CHUNK_BYTES],
        from: 0,
        to: 0,
    };

    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// What it waits for.
    fn interest<'a>(&self, source: BorrowedFd<'a>, sink: BorrowedFd<'a>) -> PollFd<'a> {
        match self.is_empty() {
            true => PollFd::from_borrowed_fd(source, PollFlags::IN),
            false => PollFd::from_borrowed_fd(sink, PollFlags::OUT),
        }
    }

    /// Moves once what can be moved.
    fn advance(&mut self, source: BorrowedFd<'_>, sink: BorrowedFd<'_>) -> Result<(), Gone> {
        if self.is_empty() {
            match rustix::io::read(source, &mut self.bytes) {
                Ok(0) => return Err(Gone::Source),
                Ok(length) => (self.from, self.to) = (0, length),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(_) => return Err(Gone::Source),
            }
        }
        match rustix::io::write(sink, &self.bytes[self.from..self.to]) {
            Ok(length) => self.from += length,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Err(Gone::Sink),
        }
        Ok(())
    }
}

/// Which end will never do anything any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    Source,
    Sink,
}

impl Terminal {
    /// Nothing of it blocks.
    pub(crate) fn new(master: OwnedFd, input: OwnedFd, output: OwnedFd) -> Result<Self, Errno> {
        let other = pseudoterminal::open_other_end(master.as_fd())
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self {
            ends: Some(Ends {
                master,
                _other: other,
            }),
            typed: Chunk::EMPTY,
            shown: Chunk::EMPTY,
            is_typed_to: true,
            sockets: [input, output],
        })
    }

    /// Says what is waited for.
    pub(crate) fn add_interest<'a>(&'a self, fds: &mut Interest<'a>) {
        let Some(ends) = &self.ends else { return };
        let (master, [input, output]) = (ends.master.as_fd(), &self.sockets);
        if self.is_typed_to {
            fds.add(self.typed.interest(input.as_fd(), master));
        }
        fds.add(self.shown.interest(master, output.as_fd()));
        // The host sends nothing on an output, so it is said to have hung up when it has closed the
        // connection.
        fds.add(PollFd::new(output, PollFlags::RDHUP));
    }

    /// Moves what can be moved.
    pub(crate) fn react(&mut self, found: &mut Found) {
        let Some(ends) = &self.ends else { return };
        let (master, [input, output]) = (ends.master.as_fd(), &self.sockets);
        if self.is_typed_to
            && !found.take().is_empty()
            && self.typed.advance(input.as_fd(), master) == Err(Gone::Source)
        {
            self.is_typed_to = false;
        }
        let shown = !found.take().is_empty();
        let is_hung_up = !found.take().is_empty()
            || shown && self.shown.advance(master, output.as_fd()).is_err();
        if is_hung_up {
            self.hang_up();
        }
    }

    /// Whether it shows what was not sent yet.
    pub(crate) fn has_more(&self) -> Result<bool, Errno> {
        let Some(ends) = &self.ends else {
            return Ok(false);
        };
        let mut fds = [PollFd::new(&ends.master, PollFlags::IN)];
        let at_once = Timespec::default();
        Ok(!self.shown.is_empty() || poll(&mut fds, Some(&at_once))? > 0)
    }

    /// Hangs it up.
    pub(crate) fn hang_up(&mut self) {
        self.ends = None;
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, size: WindowSize) {
        let Some(ends) = &self.ends else { return };
        // It can't fail with a terminal.
        let _ = pseudoterminal::set_window_size(ends.master.as_fd(), size);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use rustix::pty::{OpenptFlags, openpt, unlockpt};

    use super::*;

    /// A terminal that is carried, the command's end of it, and the host's ends.
    struct Seat {
        terminal: Terminal,
        command: File,
        keyboard: UnixStream,
        screen: UnixStream,
    }

    impl Seat {
        fn new() -> Self {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = openpt(flags).unwrap();
            unlockpt(&master).unwrap();
            rustix::io::ioctl_fionbio(&master, true).unwrap();
            let command = pseudoterminal::open_other_end(master.as_fd())
                .unwrap()
                .into();
            let end = || {
                let (guest, host) = UnixStream::pair().unwrap();
                guest.set_nonblocking(true).unwrap();
                (guest.into(), host)
            };
            let ((input, keyboard), (output, screen)) = (end(), end());
            Self {
                terminal: Terminal::new(master, input, output).unwrap(),
                command,
                keyboard,
                screen,
            }
        }
    }

    /// Carries until the terminal is hung up, or shows nothing more after `stopped`.
    fn carry(terminal: &mut Terminal, stopped: &UnixStream) {
        loop {
            let mut interest = Interest::default();
            interest.add(PollFd::new(stopped, PollFlags::IN));
            terminal.add_interest(&mut interest);
            let mut found = interest.wait(None).unwrap();
            let is_stopped = !found.take().is_empty();
            terminal.react(&mut found);
            if terminal.ends.is_none() || is_stopped && !terminal.has_more().unwrap() {
                return;
            }
        }
    }

    #[test]
    fn what_is_typed_is_read_and_all_that_is_shown_is_sent() {
        let Seat {
            mut terminal,
            mut command,
            mut keyboard,
            mut screen,
        } = Seat::new();
        let (stopped, stop) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                carry(&mut terminal, &stopped);
                terminal.sockets.iter().for_each(|socket| {
                    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
                });
            });
            keyboard.write_all(b"typed\n").unwrap();
            // The end of what is typed is not that of the terminal.
            keyboard.shutdown(Shutdown::Write).unwrap();
            let mut line = [0; 6];
            command.read_exact(&mut line).unwrap();
            assert_eq!(&line, b"typed\n");
            let lines: String = (0..20_000).map(|n| format!("{n}\n")).collect();
            let shown = scope.spawn(move || {
                let mut shown = String::new();
                screen.read_to_string(&mut shown).unwrap();
                shown
            });
            command.write_all(lines.as_bytes()).unwrap();
            drop(stop);
            let expected = format!("typed\n{lines}").replace('\n', "\r\n");
            assert!(shown.join().unwrap() == expected);
        });
    }

    #[test]
    fn it_is_hung_up_when_nobody_reads_what_it_shows() {
        let mut seat = Seat::new();
        let (never, _held) = UnixStream::pair().unwrap();
        drop(seat.screen);
        carry(&mut seat.terminal, &never);
        assert!(seat.command.write(b"x").is_err());
    }

    #[test]
    fn it_has_the_size_that_it_is_given() {
        let seat = Seat::new();
        seat.terminal.resize(WindowSize {
            rows: 7,
            columns: 9,
        });
        let size = rustix::termios::tcgetwinsize(&seat.command).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (7, 9));
    }
}
