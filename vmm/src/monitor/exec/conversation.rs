use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use guest_protocol::{
    Execute, FrameError, FromSession, SessionStreams, ToSession, read_message, write_message,
};
use launch::Chain;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use super::sessions::{OpenRequest, OpenSession};
use super::{ExecNews, ExecWord};
use crate::jail::Role;
use crate::monitor::event::Event;
use crate::monitor::message::Reason;
use crate::monitor::pump::{self, InputEnd};
use crate::monitor::session::SessionError;
use crate::monitor::streams::HostEnds;
use crate::monitor::threads::{Threads, tell};
use crate::monitor::{Channel, ChannelError};

/// How long it takes to hand over the command, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a guest may take for a part of the command. One whose kernel is emulated needs half a
/// minute for the longest.
pub(super) const GUEST_PATIENCE: Duration = Duration::from_secs(120);

/// Why a session comes to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the command can't be received")]
    Receive(#[from] Errno),
    #[error("the command that was handed over is none")]
    NoCommand,
    #[error("the command can't be read")]
    Command(#[source] FrameError),
    #[error("the guest can't be told the command")]
    Guest(#[source] FrameError),
    #[error("the session's sockets can't be used")]
    Sockets(#[from] io::Error),
    #[error(transparent)]
    Thread(#[from] SessionError),
    #[error("{}", .0.why)]
    NotOpened(Reason),
    #[error("in the guest: {0}")]
    Failed(entry::Failure),
    #[error("its users can't be looked up")]
    Users(#[source] io::Error),
    #[error("the guest does not tell its users")]
    NoUsers,
    #[error("its kernel does not tell its memory")]
    Memory(#[source] io::Error),
    #[error("the guest does not tell its memory")]
    NoMemory,
}

impl ExecError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::NotOpened(reason) => reason.clone(),
            error => Reason::new(error, None),
        }
    }
}

/// Runs the command that `asker` hands over next, and tells how it fares, until it has ended or
/// until nobody wants to know any more.
pub(in crate::monitor) fn serve(
    asker: Channel,
    events: &Sender<Event>,
) -> Result<(), ChannelError> {
    let asker = Arc::new(asker);
    let told = match run(&asker, events) {
        Ok(()) => Ok(()),
        Err(ExecError::Channel(error)) => Err(error),
        Err(error) => asker.send(&ExecNews::Failed(error.reason())),
    };
    // The thread that listens to the asker has it, too.
    asker.end();
    told
}

fn run(asker: &Arc<Channel>, events: &Sender<Event>) -> Result<(), ExecError> {
    let (execute, streams) = receive(asker)?;
    let Some(OpenSession { mut ends, lease }) = open(events)? else {
        return Ok(());
    };
    // Whatever comes, the guest learns that it is over, and nothing waits for it any more.
    let _shut = Shut::of(&ends)?;
    let lease = Arc::new(lease);

    ends.control.set_write_timeout(Some(GUEST_PATIENCE))?;
    write_message(&mut ends.control, &ToSession::Execute(Box::new(execute)))
        .map_err(ExecError::Guest)?;

    let threads = Threads(events);
    let HostEnds {
        mut control,
        stdin: stdin_there,
        stdout: stdout_there,
        stderr: stderr_there,
    } = ends;
    let to_guest = control.try_clone()?;
    threads.start(Role::Asker, {
        let (asker, lease) = (asker.clone(), lease.clone());
        move |_| {
            listen(&asker, &to_guest);
            drop(lease);
        }
    })?;
    // Closed when everything is written.
    let (writing, written) = mpsc::channel::<()>();
    if let Some([stdin, stdout, stderr]) = streams {
        let stdin_lease = lease.clone();
        let to_guest = control.try_clone()?;
        threads.start(Role::Stdin, move |_| {
            if pump::to_guest(stdin.into(), stdin_there) == InputEnd::HungUp {
                pass_on(&to_guest, &ToSession::HangUp);
            }
            drop(stdin_lease);
        })?;
        for (role, from, to) in [
            (Role::Stdout, stdout_there, stdout),
            (Role::Stderr, stderr_there, stderr),
        ] {
            let (lease, writing) = (lease.clone(), writing.clone());
            threads.start(role, move |_| {
                pump::from_guest(from, to.into());
                drop((lease, writing));
            })?;
        }
    }
    drop(writing);
    loop {
        let said = read_message(&mut control);
        match said {
            Ok(Some(FromSession::Executed)) => asker.send(&ExecNews::Executed)?,
            Ok(Some(FromSession::Ended(end))) => {
                // An error is what it ends with.
                let _ = written.recv();
                asker.send(&ExecNews::Ended(end))?;
                return Ok(());
            }
            Ok(Some(FromSession::Failed(failure))) => return Err(ExecError::Failed(failure)),
            Ok(Some(FromSession::Users(_) | FromSession::Memory(_)) | None) => return Ok(()),
            Err(error) => {
                tracing::debug!("a session: {}", Chain(&error));
                return Ok(());
            }
        }
    }
}

/// Has a session opened; `None` if the instance ends at this moment.
pub(super) fn open(events: &Sender<Event>) -> Result<Option<OpenSession>, ExecError> {
    let (done, opened) = mpsc::channel();
    tell(events, Event::OpenSession(OpenRequest { done }));
    let opened = opened.recv().ok();
    opened.transpose().map_err(ExecError::NotOpened)
}

/// What is to be executed, and its streams if it has any.
fn receive(asker: &Channel) -> Result<(Execute, Option<[OwnedFd; 3]>), ExecError> {
    if !asker.is_readable_within(Some(PATIENCE))? {
        return Err(ExecError::NoCommand);
    }
    let received = asker.receive_descriptors()?.unwrap_or_default();
    let mut received = received.into_iter();
    let told = File::from(received.next().ok_or(ExecError::NoCommand)?);
    // Another kind of file could be waited for without an end.
    if !told.metadata()?.is_file() {
        return Err(ExecError::NoCommand);
    }
    let execute: Execute = read_message(&mut &told)
        .map_err(ExecError::Command)?
        .ok_or(ExecError::NoCommand)?;
    let streams = match execute.streams {
        SessionStreams::Null => None,
        SessionStreams::Three | SessionStreams::Terminal(_) => {
            let streams: Vec<_> = received.collect();
            Some(streams.try_into().map_err(|_| ExecError::NoCommand)?)
        }
    };
    Ok((execute, streams))
}

/// Passes on what the asker says, until it is gone.
fn listen(asker: &Channel, guest: &UnixStream) {
    loop {
        match asker.receive_within(None) {
            Ok(Some(ExecWord::Signal(number))) => pass_on(guest, &ToSession::Signal(number)),
            Ok(Some(ExecWord::Resize(size))) => pass_on(guest, &ToSession::Resize(size)),
            Ok(None) => break,
            Err(error) => {
                tracing::debug!("one who asked for a command: {}", Chain(&error));
                break;
            }
        }
    }
    // The guest kills the command, and whoever waits for the guest's answer goes on.
    shut(guest);
}

/// A guest that does not read what it is told loses it; it does not hold up the asker.
fn pass_on(guest: &UnixStream, word: &ToSession) {
    let mut frame = Vec::new();
    let sent = write_message(&mut frame, word)
        .map_err(io::Error::other)
        .and_then(|()| {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            Ok(send(guest.as_raw_fd(), &frame, flags)?)
        });
    if let Err(error) = sent {
        tracing::debug!("{word:?} did not reach the guest: {error}");
    }
}

/// Ends of a session's connections, which are shut down when this is dropped.
pub(super) struct Shut([UnixStream; 4]);

impl Shut {
    pub(super) fn of(ends: &HostEnds) -> io::Result<Self> {
        Ok(Self([
            ends.control.try_clone()?,
            ends.stdin.try_clone()?,
            ends.stdout.try_clone()?,
            ends.stderr.try_clone()?,
        ]))
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.iter().for_each(shut);
    }
}

fn shut(stream: &UnixStream) {
    // It fails only if the other end is gone.
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::sync::mpsc::Receiver;
    use std::thread::{self, JoinHandle};

    use guest_protocol::{End, Ports, SessionNumber};
    use launch::{Command, Credentials, ExitStatus};

    use super::*;
    use crate::monitor::exec::Lease;
    use crate::monitor::{Received, streams};

    const NUMBER: SessionNumber = SessionNumber(3);

    /// One who asks, the guest's ends, and what the main thread hears.
    struct Session {
        asker: Channel,
        guest: [UnixStream; 4],
        events: Receiver<Event>,
        serving: JoinHandle<()>,
    }

    impl Session {
        /// Asks with these descriptors, and has the session opened.
        fn ask(descriptors: &[OwnedFd]) -> Self {
            let (asker, theirs) = asker(descriptors);
            let (sender, events) = mpsc::channel();
            let (mut guest_ends, ends) = streams::pairs(Ports::of(NUMBER)).unwrap();
            let guest = Ports::of(NUMBER)
                .all()
                .map(|port| guest_ends.remove(&port).unwrap());
            let lease = Lease::new(NUMBER, sender.clone());
            let serving = thread::spawn(move || {
                // An error means that the asker is gone.
                let _ = serve(theirs, &sender);
            });
            let session = Self {
                asker,
                guest,
                events,
                serving,
            };
            let Ok(Event::OpenSession(request)) = session.events.recv() else {
                panic!("a session is wanted");
            };
            let _ = request.done.send(Ok(OpenSession { ends, lease }));
            session
        }

        fn with_streams(streams: [OwnedFd; 3]) -> Self {
            let told = told(SessionStreams::Three);
            let [stdin, stdout, stderr] = streams;
            Self::ask(&[told, stdin, stdout, stderr])
        }

        fn next(&self) -> Option<ExecNews> {
            self.asker.receive_within(None).unwrap()
        }

        /// Nothing of the session is left when this returns.
        fn assert_over(self) {
            drop(self.asker);
            self.serving.join().unwrap();
            let event = self.events.recv().unwrap();
            assert!(matches!(event, Event::SessionOver(NUMBER)));
        }
    }

    /// Both ends of the connection of one who asks with these descriptors.
    fn asker(descriptors: &[OwnedFd]) -> (Channel, Channel) {
        let (asker, theirs) = Channel::pair().unwrap();
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        asker.send_descriptors(&descriptors).unwrap();
        (asker, Channel::new(theirs))
    }

    fn execute(streams: SessionStreams) -> Execute {
        Execute {
            command: Command::new(["true"], [], "/", Credentials::default()).unwrap(),
            streams,
        }
    }

    fn told(streams: SessionStreams) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        write_message(&mut file, &execute(streams)).unwrap();
        file.rewind().unwrap();
        file.into()
    }

    fn null() -> OwnedFd {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    }

    fn ended(code: u8) -> (FromSession, Option<ExecNews>) {
        let end = End {
            status: ExitStatus::Exited(code),
            out_of_memory: code == 137,
        };
        (FromSession::Ended(end), Some(ExecNews::Ended(end)))
    }

    #[test]
    fn the_guest_is_told_the_command_and_the_asker_how_it_fares() {
        let mut session = Session::with_streams([null(), null(), null()]);
        let [control, ..] = &mut session.guest;
        let heard: Option<ToSession> = read_message(control).unwrap();
        let expected = ToSession::Execute(Box::new(execute(SessionStreams::Three)));
        assert_eq!(heard, Some(expected));
        session.asker.send(&ExecWord::Signal(15)).unwrap();
        let heard: Option<ToSession> = read_message(control).unwrap();
        assert_eq!(heard, Some(ToSession::Signal(15)));
        let (end, news) = ended(7);
        write_message(control, &FromSession::Executed).unwrap();
        write_message(control, &end).unwrap();
        let [_, _, stdout, stderr] = &session.guest;
        shut(stdout);
        shut(stderr);
        assert_eq!(session.next(), Some(ExecNews::Executed));
        assert_eq!(session.next(), news);
        session.assert_over();
    }

    #[test]
    fn the_end_is_told_when_all_output_is_written() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut session = Session::with_streams([null(), writer, null()]);
        let (end, news) = ended(0);
        write_message(&mut session.guest[0], &end).unwrap();
        let [_, _, stdout, stderr] = &session.guest;
        shut(stderr);
        let mut stdout = stdout.try_clone().unwrap();
        let written = thread::spawn(move || {
            stdout.write_all(&[7; 1 << 20]).unwrap();
            shut(&stdout);
        });
        let mut reader = File::from(reader);
        let mut read = vec![0; 1 << 19];
        reader.read_exact(&mut read).unwrap();
        let news_so_far = session.asker.receive::<ExecNews>().unwrap();
        assert_eq!(news_so_far, Received::Nothing);
        reader.read_exact(&mut read).unwrap();
        written.join().unwrap();
        assert_eq!(session.next(), news);
        session.assert_over();
    }

    #[test]
    fn when_the_asker_is_gone_the_guest_learns_it_and_nothing_is_left() {
        // An input that never ends, and one who holds it.
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        let mut session = Session::with_streams([reader, null(), null()]);
        let mut guest = session.guest.each_ref().map(|end| end.try_clone().unwrap());
        write_message(&mut session.guest[0], &FromSession::Executed).unwrap();
        assert_eq!(session.next(), Some(ExecNews::Executed));
        session.assert_over();
        let _: Option<ToSession> = read_message(&mut guest[0]).unwrap();
        for end in &mut guest {
            assert_eq!(end.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn a_guest_that_talks_nonsense_ends_its_session_and_no_more() {
        let mut session = Session::with_streams([null(), null(), null()]);
        session.guest[0].write_all(&[0xff; 64]).unwrap();
        assert_eq!(session.next(), None);
        session.assert_over();
    }

    #[test]
    fn why_the_guest_could_not_start_it_is_told() {
        let mut session = Session::ask(&[told(SessionStreams::Null)]);
        let failure = entry::Failure {
            step: entry::Step::WorkingDirectory,
            errno: 2,
        };
        write_message(&mut session.guest[0], &FromSession::Failed(failure)).unwrap();
        let Some(ExecNews::Failed(reason)) = session.next() else {
            panic!("it failed");
        };
        assert!(reason.why.starts_with("in the guest: entering the working"));
        session.assert_over();
    }

    #[test]
    fn what_is_no_command_is_refused_before_there_is_a_session() {
        let nonsense = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[0xff; 64]).unwrap();
            file.rewind().unwrap();
            file.into()
        };
        let (never_ends, _writer) = nix::unistd::pipe().unwrap();
        for descriptors in [
            vec![nonsense()],
            vec![null()],
            vec![never_ends],
            vec![told(SessionStreams::Three), null()],
        ] {
            let (asker, theirs) = asker(&descriptors);
            let (sender, events) = mpsc::channel();
            serve(theirs, &sender).unwrap();
            let news = asker.receive_within::<ExecNews>(None).unwrap();
            assert!(matches!(news, Some(ExecNews::Failed(_))), "{news:?}");
            assert!(events.try_recv().is_err());
        }
    }
}
