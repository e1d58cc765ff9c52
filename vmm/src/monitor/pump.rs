//! Copies the command's standard streams: between descriptors of the launcher's, of any kind,
//! and streams of the guest's.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use entry::pseudoterminal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe's worth of pages: enough that a copy is rarely cut short.
const BUFFER_BYTES: usize = 16 << 10;

/// Copies standard input to the guest, until it ends or the guest does not want more: then nothing
/// is taken from it any more that others may want to read.
pub(super) fn to_guest(mut stdin: File, mut guest: UnixStream) -> InputEnd {
    let copied = copy_while_wanted(&mut stdin, &mut guest);
    if let Err(error) = copied {
        tracing::debug!("standard input: {error}");
    }
    // The guest sees the end of its input. It may have closed the stream already.
    let _ = guest.shutdown(Shutdown::Write);
    match pseudoterminal::is_hung_up(stdin.as_fd()) {
        true => InputEnd::HungUp,
        false => InputEnd::Other,
    }
}

/// Why no more input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputEnd {
    /// It came from a terminal, at which nobody is any more.
    HungUp,
    /// Whatever else.
    Other,
}

/// Copies an output of the guest's, until it ends or nobody reads it any more. Then the guest's
/// writes fail, as those to a pipe without a reader do.
pub(super) fn from_guest(mut guest: UnixStream, mut output: File) {
    if let Err(error) = copy(&mut guest, &mut output) {
        tracing::debug!("standard output or error: {error}");
    }
}

fn copy_while_wanted(stdin: &mut File, guest: &mut UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let mut ends = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            // That it is gone is told without being asked.
            PollFd::new(guest.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [has_input, is_gone] = ends.map(|end| end.any() != Some(false));
        if is_gone {
            return Ok(());
        }
        if !has_input {
            continue;
        }
        match stdin.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => write_all(guest, &buffer[..bytes])?,
            Err(error) => wait(error, stdin, PollFlags::POLLIN)?,
        }
    }
}

fn copy(from: &mut (impl Read + AsFd), to: &mut (impl Write + AsFd)) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => write_all(to, &buffer[..bytes])?,
            Err(error) => wait(error, from, PollFlags::POLLIN)?,
        }
    }
}

fn write_all(to: &mut (impl Write + AsFd), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => wait(error, to, PollFlags::POLLOUT)?,
        }
    }
    Ok(())
}

/// Waits, if that is all that is to be done about `error`. A descriptor of the launcher's may be
/// non-blocking: it shares that with whoever opened the terminal or pipe.
fn wait(error: io::Error, on: &impl AsFd, events: PollFlags) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => {
            poll(&mut [PollFd::new(on.as_fd(), events)], PollTimeout::NONE)?;
            Ok(())
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::thread;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::pty::{posix_openpt, unlockpt};

    use super::*;

    fn pipe() -> (File, File) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn input_arrives_whole_and_then_its_end() {
        let (stdin, mut writer) = pipe();
        let (guest, mut there) = UnixStream::pair().unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|n: u32| n as u8).collect();
        let received = thread::scope(|scope| {
            scope.spawn(move || to_guest(stdin, guest));
            let sent = &sent;
            scope.spawn(move || writer.write_all(sent).unwrap());
            let mut received = Vec::new();
            there.read_to_end(&mut received).unwrap();
            received
        });
        assert!(received == sent);
    }

    #[test]
    fn a_descriptor_that_does_not_block_is_waited_for() {
        let (mut reader, output) = pipe();
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let (mut there, guest) = UnixStream::pair().unwrap();
        let sent = vec![7; 1 << 20];
        let received = thread::scope(|scope| {
            scope.spawn(move || from_guest(guest, output));
            let sent = &sent;
            scope.spawn(move || there.write_all(sent).unwrap());
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            received
        });
        assert!(received == sent);
    }

    #[test]
    fn a_guest_that_writes_to_nobody_is_told() {
        let (reader, output) = pipe();
        drop(reader);
        let (mut there, guest) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || from_guest(guest, output));
            // Fails once the copy has ended and closed its end.
            while there.write_all(&[0; 4096]).is_ok() {}
        });
    }

    #[test]
    fn an_input_that_was_hung_up_is_told_from_one_that_has_ended() {
        let hang_up = |when_started: bool| {
            let master = posix_openpt(OFlag::O_RDWR | OFlag::O_CLOEXEC).unwrap();
            unlockpt(&master).unwrap();
            let terminal = pseudoterminal::open_other_end(master.as_fd()).unwrap();
            let (guest, _there) = UnixStream::pair().unwrap();
            if !when_started {
                drop(master);
                return to_guest(terminal.into(), guest);
            }
            thread::scope(|scope| {
                let copy = scope.spawn(move || to_guest(terminal.into(), guest));
                drop(master);
                copy.join().unwrap()
            })
        };
        assert_eq!([true, false].map(hang_up), [InputEnd::HungUp; 2]);
        let (stdin, writer) = pipe();
        drop(writer);
        let (guest, _there) = UnixStream::pair().unwrap();
        assert_eq!(to_guest(stdin, guest), InputEnd::Other);
    }

    #[test]
    fn a_guest_that_closed_its_input_ends_the_copy() {
        let (stdin, mut writer) = pipe();
        let (guest, there) = UnixStream::pair().unwrap();
        drop(OwnedFd::from(there));
        thread::scope(|scope| {
            scope.spawn(move || to_guest(stdin, guest));
            // Fails once the copy has ended and closed the pipe's other end.
            while writer.write_all(&[0; 4096]).is_ok() {}
        });
    }

    #[test]
    fn a_guest_that_closed_its_input_leaves_what_comes_later_to_others() {
        let (stdin, mut writer) = pipe();
        let mut later = stdin.try_clone().unwrap();
        let (guest, there) = UnixStream::pair().unwrap();
        drop(there);
        to_guest(stdin, guest);
        writer.write_all(b"later").unwrap();
        let mut read = [0; 5];
        later.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"later");
    }
}
