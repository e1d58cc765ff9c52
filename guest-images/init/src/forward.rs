use std::fs::File;
use std::time::{Duration, Instant};

use guest_protocol::{Incarnation, ToGuest, read_message};
use launch::ExitStatus;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::fatal::Fatal;
use crate::interest::Interest;
use crate::running::Running;
use crate::session::{Means, Session};

/// How long the end of the command waits for what is still to be sent of others', which ended with
/// it: as long as nobody notices.
const PATIENCE: Duration = Duration::from_secs(1);

/// Carries the command's streams and the host's signals, until the command has ended and all
/// that it wrote has been sent; and those of further commands that run beside it, by these `means`.
/// `assume` is called when it goes on in another machine.
pub(crate) fn until_end(
    control: &mut File,
    mut command: Running,
    means: &impl Means,
    assume: impl Fn(&Incarnation) -> Result<(), Fatal>,
) -> Result<ExitStatus, Fatal> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut deadline = None;
    loop {
        sessions.retain(|session| !session.is_over());
        // The ends of the pipes are sure to come: with the command, PID 1 of its namespace, every
        // process is gone that could hold them open. Nobody reads the input any more.
        let mut left = None;
        if let Some(status) = command.end_of_all()? {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            let time = deadline.saturating_duration_since(Instant::now());
            if sessions.is_empty() || time.is_zero() {
                return Ok(status);
            }
            left = Some(Timespec {
                tv_sec: time.as_secs() as i64,
                tv_nsec: time.subsec_nanos().into(),
            });
        }
        let mut interest = Interest::default();
        interest.add(PollFd::new(control, PollFlags::IN));
        command.add_interest(&mut interest);
        for session in &sessions {
            session.add_interest(&mut interest);
        }
        let mut found = interest.wait(left.as_ref())?;
        let has_word = !found.take().is_empty();
        command.react(&mut found)?;
        for session in &mut sessions {
            session.react(&mut found, means);
        }
        if has_word {
            match read_message(control)? {
                Some(ToGuest::Signal(number)) => command.signal(number),
                Some(ToGuest::Resize(size)) => command.resize(size),
                Some(ToGuest::HangUp) => command.hang_up(),
                Some(ToGuest::Restored(incarnation)) => assume(&incarnation)?,
                Some(ToGuest::OpenSession(number)) => sessions.extend(Session::open(number, means)),
                Some(ToGuest::Start(_)) | None => return Err(Fatal::HostGone),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::ffi::CStr;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use entry::{Failure, Step};
    use guest_protocol::{
        End, Execute, FromSession, Ports, SessionNumber, SessionStreams, ToSession, UserFile,
        Users, write_message,
    };
    use launch::{Credentials, GuestMemory, Stdio};
    use rustix::io::Errno;

    use super::*;
    use crate::command::Started;
    use crate::command::tests::start_shell;
    use crate::connections::Streams;
    use crate::ends::{self, TheirEnds};
    use crate::out_of_memory::MemoryWatch;

    /// The host's ends: control, input, output, error.
    type HostEnds = [UnixStream; 4];

    /// What there is for sessions: by its port, our end of each connection. A session's command is
    /// a shell script, or one that is not there.
    struct Pairs(RefCell<BTreeMap<u32, UnixStream>>);

    impl Means for Pairs {
        fn connect_control(&self, ports: Ports) -> Result<File, Errno> {
            let end = self.0.borrow_mut().remove(&ports.control);
            end.map(|end| OwnedFd::from(end).into())
                .ok_or(Errno::CONNRESET)
        }

        fn connect_streams(&self, ports: Ports) -> Result<Streams, Errno> {
            let take = |port| {
                let end: UnixStream = self.0.borrow_mut().remove(&port).ok_or(Errno::CONNRESET)?;
                end.set_nonblocking(true).unwrap();
                Ok(end.into())
            };
            Ok(Streams([
                take(ports.stdin)?,
                take(ports.stdout)?,
                take(ports.stderr)?,
            ]))
        }

        fn null_streams(&self) -> Result<Stdio, Fatal> {
            Ok(Stdio::null().unwrap())
        }

        fn watch_memory(&self) -> Result<MemoryWatch, Errno> {
            // A log in which somebody was killed.
            let (log, write) = std::os::unix::net::UnixDatagram::pair().unwrap();
            log.set_nonblocking(true).unwrap();
            write
                .send(b"3,1,2,-;Out of memory: Killed process 33 (tail)\n")
                .unwrap();
            Ok(MemoryWatch::of(OwnedFd::from(log).into()))
        }

        fn users(&self) -> Result<Users, Errno> {
            Ok(Users {
                passwd: UserFile::Bytes(b"a".into()),
                group: UserFile::NotRegular,
            })
        }

        fn memory(&self) -> Result<GuestMemory, Errno> {
            Err(Errno::NOENT)
        }

        fn start(&self, execute: &Execute, ends: TheirEnds) -> Result<Started, Fatal> {
            let command = &execute.command;
            if command.program() == c"/nonexistent" {
                return Ok(Started::Failed(Failure {
                    step: Step::Exec,
                    errno: libc::ENOENT,
                }));
            }
            let script: &'static CStr = Box::leak(command.program().to_owned().into_boxed_c_str());
            Ok(Started::Running(start_shell(script, ends.into_stdio())))
        }
    }

    /// Runs a shell script as a guest would, and meanwhile what the host does.
    fn run<T: Send>(
        script: &'static CStr,
        host: impl FnOnce(HostEnds) -> T + Send,
    ) -> (Result<ExitStatus, Fatal>, T) {
        run_with_sessions(script, |ends, []| host(ends))
    }

    /// The same with so many sessions, whose ends the host has too.
    fn run_with_sessions<T: Send, const N: usize>(
        script: &'static CStr,
        host: impl FnOnce(HostEnds, [HostEnds; N]) -> T + Send,
    ) -> (Result<ExitStatus, Fatal>, T) {
        let pairs = || [(); 4].map(|()| UnixStream::pair().unwrap());
        let [(control, h0), (stdin, h1), (stdout, h2), (stderr, h3)] = pairs();
        let mut sessions = BTreeMap::new();
        let host_ends = std::array::from_fn(|number| {
            let ports = Ports::of(SessionNumber(number as u8)).all();
            let mut ports = ports.into_iter();
            pairs().map(|(guest, host)| {
                sessions.insert(ports.next().unwrap(), guest);
                host
            })
        });
        for stream in [&stdin, &stdout, &stderr] {
            stream.set_nonblocking(true).unwrap();
        }
        let (ours, theirs) = ends::make().unwrap();
        let command = start_shell(script, theirs.into_stdio());
        // The host stays, even when what it does is done.
        let _stays = h0.try_clone().unwrap();
        thread::scope(|scope| {
            let host = scope.spawn(move || host([h0, h1, h2, h3], host_ends));
            let streams = Streams([stdin, stdout, stderr].map(OwnedFd::from));
            let command = Running::new(command, ours.joined_to(streams, None).unwrap());
            let mut control = File::from(OwnedFd::from(control));
            let means = Pairs(RefCell::new(sessions));
            let ended = until_end(&mut control, command, &means, |_| Ok(()));
            drop((control, means));
            (ended, host.join().unwrap())
        })
    }

    /// Has the guest open a session, and run a script in it.
    fn execute(
        control: &mut UnixStream,
        number: u8,
        ends: &mut HostEnds,
        script: &str,
        streams: SessionStreams,
    ) {
        write_message(control, &ToGuest::OpenSession(SessionNumber(number))).unwrap();
        let command = launch::Command::new([script], [], "/", Credentials::default()).unwrap();
        let execute = ToSession::Execute(Box::new(Execute { command, streams }));
        write_message(&mut ends[0], &execute).unwrap();
    }

    fn answer(ends: &mut HostEnds) -> Option<FromSession> {
        read_message(&mut ends[0]).unwrap()
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

    /// Waits for a line, so that the host can tell it when to end.
    const UNTIL_TOLD: &CStr = c"read line";

    fn let_end([_control, input, ..]: HostEnds) {
        input.shutdown(Shutdown::Write).unwrap();
    }

    #[test]
    fn a_session_has_streams_and_an_end_of_its_own() {
        let (ended, said) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            let script = "cat; echo oops >&2; exit 3";
            execute(&mut ends[0], 0, &mut session, script, SessionStreams::Three);
            assert_eq!(answer(&mut session), Some(FromSession::Executed));
            session[1].write_all(b"beside").unwrap();
            session[1].shutdown(Shutdown::Write).unwrap();
            let end = answer(&mut session);
            let [_, _, out, err] = session;
            let said = (end, read(out), read(err));
            let_end(ends);
            said
        });
        assert_eq!(ended.unwrap(), ExitStatus::Exited(1));
        let end = session_ended(ExitStatus::Exited(3));
        assert_eq!(said, (end, "beside".into(), "oops\n".into()));
    }

    #[test]
    fn a_session_ends_with_its_command_whoever_holds_its_output() {
        let (_, end) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            let script = "echo said; sleep 60 & exit 4";
            execute(&mut ends[0], 0, &mut session, script, SessionStreams::Three);
            assert_eq!(answer(&mut session), Some(FromSession::Executed));
            let end = answer(&mut session);
            let [_, _, out, _] = session;
            assert_eq!(read(out), "said\n");
            let_end(ends);
            end
        });
        assert_eq!(end, session_ended(ExitStatus::Exited(4)));
    }

    fn session_ended(status: ExitStatus) -> Option<FromSession> {
        Some(FromSession::Ended(End {
            status,
            out_of_memory: false,
        }))
    }

    #[test]
    fn of_a_session_that_was_killed_it_is_told_whether_that_was_for_lack_of_memory() {
        let (_, ends) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session, mut other]| {
            let streams = SessionStreams::Three;
            execute(&mut ends[0], 0, &mut session, "kill -9 $$", streams);
            execute(&mut ends[0], 1, &mut other, "exit 5", streams);
            let told = [&mut session, &mut other].map(|session| {
                assert_eq!(answer(session), Some(FromSession::Executed));
                answer(session)
            });
            let_end(ends);
            told
        });
        let killed = Some(FromSession::Ended(End {
            status: ExitStatus::Signaled(9),
            out_of_memory: true,
        }));
        assert_eq!(ends, [killed, session_ended(ExitStatus::Exited(5))]);
    }

    #[test]
    fn a_session_is_signalled_and_the_first_command_is_not() {
        let (ended, end) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            execute(
                &mut ends[0],
                0,
                &mut session,
                "exec sleep 60",
                SessionStreams::Three,
            );
            assert_eq!(answer(&mut session), Some(FromSession::Executed));
            write_message(&mut session[0], &ToSession::Signal(15)).unwrap();
            let end = answer(&mut session);
            let_end(ends);
            end
        });
        assert_eq!(end, session_ended(ExitStatus::Signaled(15)));
        assert_eq!(ended.unwrap(), ExitStatus::Exited(1));
    }

    /// The host of a session is gone, whose command says its number and then sleeps: it is killed
    /// if it has streams, and lives on if not.
    fn when_the_host_is_gone(streams: SessionStreams) {
        let file = tempfile();
        let (_, ()) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session, mut other]| {
            let script = format!("echo $$ > {file}; exec sleep 60");
            execute(&mut ends[0], 0, &mut session, &script, streams);
            assert_eq!(answer(&mut session), Some(FromSession::Executed));
            let pid = loop {
                let said = std::fs::read_to_string(&file).unwrap_or_default();
                match said.trim_end().parse::<i32>() {
                    Ok(pid) => break pid,
                    Err(_) => thread::yield_now(),
                }
            };
            drop(session);
            // When another session has come and gone, that it is gone was heard.
            let three = SessionStreams::Three;
            execute(&mut ends[0], 1, &mut other, "exit 0", three);
            while answer(&mut other).is_some() {}
            // SAFETY: numbers only; no signal is sent.
            let lives = || unsafe { libc::kill(pid, 0) } == 0;
            if streams == SessionStreams::Three {
                while lives() {
                    thread::yield_now();
                }
            } else {
                assert!(lives());
                // SAFETY: numbers only.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            let_end(ends);
        });
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_session_that_nobody_wants_any_more_is_killed_unless_it_is_to_go_on() {
        when_the_host_is_gone(SessionStreams::Three);
        when_the_host_is_gone(SessionStreams::Null);
    }

    #[test]
    fn a_session_without_a_command_says_so_and_others_go_on() {
        let (_, ends) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session, mut other]| {
            let streams = SessionStreams::Three;
            execute(&mut ends[0], 0, &mut session, "/nonexistent", streams);
            execute(&mut ends[0], 1, &mut other, "exit 5", streams);
            let first = (answer(&mut session), answer(&mut session));
            let second = (answer(&mut other), answer(&mut other));
            let_end(ends);
            (first, second)
        });
        let not_found = session_ended(ExitStatus::NotFound);
        let other = (
            Some(FromSession::Executed),
            session_ended(ExitStatus::Exited(5)),
        );
        assert_eq!(ends, ((not_found, None), other));
    }

    #[test]
    fn a_session_may_be_for_what_is_known_of_users() {
        let (_, said) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            write_message(&mut ends[0], &ToGuest::OpenSession(SessionNumber(0))).unwrap();
            write_message(&mut session[0], &ToSession::TellUsers).unwrap();
            let said = (answer(&mut session), answer(&mut session));
            let_end(ends);
            said
        });
        let users = Users {
            passwd: UserFile::Bytes(b"a".into()),
            group: UserFile::NotRegular,
        };
        assert_eq!(said, (Some(FromSession::Users(Ok(users))), None));
    }

    #[test]
    fn a_session_may_be_for_what_is_known_of_memory() {
        let (_, said) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            write_message(&mut ends[0], &ToGuest::OpenSession(SessionNumber(0))).unwrap();
            write_message(&mut session[0], &ToSession::TellMemory).unwrap();
            let said = (answer(&mut session), answer(&mut session));
            let_end(ends);
            said
        });
        assert_eq!(said, (Some(FromSession::Memory(Err(libc::ENOENT))), None));
    }

    #[test]
    fn a_session_that_the_host_does_not_want_any_more_is_none() {
        let (ended, ()) = run(UNTIL_TOLD, |mut ends| {
            write_message(&mut ends[0], &ToGuest::OpenSession(SessionNumber(7))).unwrap();
            let_end(ends);
        });
        assert_eq!(ended.unwrap(), ExitStatus::Exited(1));
    }

    #[test]
    fn the_end_does_not_wait_for_a_session_that_nobody_reads() {
        let (ended, ()) = run_with_sessions(UNTIL_TOLD, |mut ends, [mut session]| {
            let script = "head -c 1000000 /dev/zero";
            execute(&mut ends[0], 0, &mut session, script, SessionStreams::Three);
            assert_eq!(answer(&mut session), Some(FromSession::Executed));
            let_end(ends);
            // Until the guest is gone.
            let _ = session[0].read(&mut [0]);
        });
        assert_eq!(ended.unwrap(), ExitStatus::Exited(1));
    }

    /// A path that nothing has.
    fn tempfile() -> String {
        let name = format!("jaula-init-session-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        path.to_str().unwrap().to_owned()
    }
}
