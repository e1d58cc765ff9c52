use std::fs::File;

use guest_protocol::{Incarnation, ToGuest, read_message};
use launch::ExitStatus;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::command::Command;
use crate::fatal::Fatal;
use crate::stream::Stream;

/// Carries the command's streams and the host's signals, until the command has ended and all
/// that it wrote has been sent. `assume` is called when it goes on in another machine.
pub(crate) fn until_end(
    control: &mut File,
    command: &Command,
    streams: &mut [Stream<'_>; 3],
    assume: impl Fn(&Incarnation) -> Result<(), Fatal>,
) -> Result<ExitStatus, Fatal> {
    let mut status = None;
    loop {
        let [_stdin, stdout, stderr] = &*streams;
        // The ends of the pipes are sure to come: with the command, PID 1 of its namespace, every
        // process is gone that could hold them open. Nobody reads the input any more.
        if let Some(status) = status
            && stdout.has_ended()
            && stderr.has_ended()
        {
            return Ok(status);
        }
        let found = wait(control, command, streams, status.is_none())?;
        for (stream, [source, sink]) in streams.iter_mut().zip(found.streams) {
            stream
                .react(source, sink)
                .map_err(Fatal::when("carrying a standard stream"))?;
        }
        if found.control {
            match read_message(control)? {
                Some(ToGuest::Signal(number)) if status.is_none() => command.signal(number),
                Some(ToGuest::Signal(_)) => {}
                Some(ToGuest::Restored(incarnation)) => assume(&incarnation)?,
                Some(ToGuest::Start(_)) | None => return Err(Fatal::HostGone),
            }
        }
        if found.ended {
            status = Some(command.wait()?);
        }
    }
}

/// What poll found.
struct Found {
    control: bool,
    ended: bool,
    streams: [[PollFlags; 2]; 3],
}

/// Waits for anything to happen.
fn wait(
    control: &File,
    command: &Command,
    streams: &[Stream<'_>; 3],
    is_running: bool,
) -> Result<Found, Fatal> {
    let mut fds = Vec::with_capacity(8);
    fds.push(PollFd::new(control, PollFlags::IN));
    for stream in streams {
        fds.extend(stream.interest().into_iter().flatten());
    }
    // Once it was waited for it would be found to have ended again and again.
    if is_running {
        fds.push(PollFd::from_borrowed_fd(command.ended(), PollFlags::IN));
    }
    loop {
        match poll(&mut fds, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Fatal::when("waiting for something to do")(errno)),
        }
    }
    let mut found = fds.iter().map(PollFd::revents);
    let mut next = || found.next().unwrap_or(PollFlags::empty());
    Ok(Found {
        control: !next().is_empty(),
        streams: streams.each_ref().map(|stream| match stream.has_ended() {
            true => [PollFlags::empty(); 2],
            false => [next(), next()],
        }),
        ended: is_running && !next().is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use guest_protocol::write_message;

    use super::*;
    use crate::command::Pipes;
    use crate::command::tests::start_shell;

    /// The host's ends: control, input, output, error.
    type HostEnds = [UnixStream; 4];

    /// Runs a shell script as a guest would, and meanwhile what the host does.
    fn run<T: Send>(
        script: &'static CStr,
        host: impl FnOnce(HostEnds) -> T + Send,
    ) -> (Result<ExitStatus, Fatal>, T) {
        let pairs = [(); 4].map(|()| UnixStream::pair().unwrap());
        let [(control, h0), (stdin, h1), (stdout, h2), (stderr, h3)] = pairs;
        for stream in [&stdin, &stdout, &stderr] {
            stream.set_nonblocking(true).unwrap();
        }
        let (ours, theirs) = Pipes::open().unwrap();
        let command = start_shell(script, theirs);
        // The host stays, even when what it does is done.
        let _stays = h0.try_clone().unwrap();
        thread::scope(|scope| {
            let host = scope.spawn(move || host([h0, h1, h2, h3]));
            let mut streams = ours.joined_to(stdin.as_fd(), stdout.as_fd(), stderr.as_fd());
            let mut control = File::from(OwnedFd::from(control));
            let ended = until_end(&mut control, &command, &mut streams, |_| Ok(()));
            drop((control, streams));
            drop((stdin, stdout, stderr));
            (ended, host.join().unwrap())
        })
    }

    fn read(mut stream: UnixStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn input_output_and_error_are_carried_and_kept_apart() {
        let (ended, output) = run(
            c"cat; echo oops >&2; exit 3",
            |[_control, mut input, out, err]| {
                input.write_all(b"through the guest").unwrap();
                input.shutdown(Shutdown::Write).unwrap();
                (read(out), read(err))
            },
        );
        assert_eq!(ended.unwrap(), ExitStatus::Exited(3));
        assert_eq!(output, ("through the guest".into(), "oops\n".into()));
    }

    #[test]
    fn what_was_written_before_the_end_is_sent_after_it() {
        let (ended, length) = run(
            c"head -c 65536 /dev/zero; head -c 65536 /dev/zero >&2",
            |[_control, _input, out, err]| (read(out).len(), read(err).len()),
        );
        assert_eq!(ended.unwrap(), ExitStatus::Exited(0));
        assert_eq!(length, (65536, 65536));
    }

    #[test]
    fn the_hosts_signals_reach_the_command() {
        let (ended, ()) = run(
            c"trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done",
            |[mut control, _input, mut out, _err]| {
                out.read_exact(&mut [0; 6]).unwrap();
                write_message(&mut control, &ToGuest::Signal(15)).unwrap();
                read(out);
            },
        );
        assert_eq!(ended.unwrap(), ExitStatus::Exited(7));
    }

    #[test]
    fn a_command_whose_output_nobody_reads_is_killed_by_it() {
        let (ended, ()) = run(c"exec yes", |[_control, _input, out, _err]| drop(out));
        assert_eq!(ended.unwrap(), ExitStatus::Signaled(libc::SIGPIPE as u8));
    }

    #[test]
    fn without_a_host_nothing_goes_on() {
        let (ended, ()) = run(c"exec cat", |[control, _input, _out, _err]| {
            control.shutdown(Shutdown::Both).unwrap();
        });
        assert!(matches!(ended, Err(Fatal::HostGone)), "{ended:?}");
    }
}
