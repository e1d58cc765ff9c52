//! The control connection with the guest's PID 1.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use guest_protocol::{
    Entropy, FrameError, Incarnation, Interface, SessionNumber, Start, Task, ToGuest, ToHost,
    read_message, write_message,
};
use launch::WindowSize;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};

/// What the guest is told, but for the time.
pub(super) struct Instructions {
    pub(super) task: Task,
    pub(super) entropy: Entropy,
    pub(super) interface: Option<Interface>,
    pub(super) disk_sectors: u64,
}

impl Instructions {
    fn now(self) -> Start {
        Start {
            task: self.task,
            incarnation: incarnation_now(self.entropy, self.interface),
            disk_sectors: self.disk_sectors,
        }
    }
}

/// What a machine becomes that takes this on at once.
pub(crate) fn incarnation_now(entropy: Entropy, interface: Option<Interface>) -> Incarnation {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Incarnation {
        entropy,
        wall_clock_ns: since_1970.as_nanos() as u64,
        interface,
    }
}

/// Tells whether the guest's one answer has left the machine: whoever goes on from a snapshot that
/// is made then waits for it in vain.
#[derive(Clone)]
pub(super) struct AnswerWatch {
    guest: Arc<UnixStream>,
    taken: Arc<AtomicBool>,
}

impl AnswerWatch {
    pub(super) fn new(guest: UnixStream) -> Self {
        Self {
            guest: Arc::new(guest),
            taken: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Asked while the devices stand still: it stays true or false until they go on.
    pub(super) fn has_left(&self) -> bool {
        // In this order: what is not there any more was taken before.
        self.peek(MsgFlags::MSG_DONTWAIT) != Err(Errno::EAGAIN)
            || self.taken.load(Ordering::Acquire)
    }

    /// Waits for the answer, or for the end of the connection.
    fn wait(&self) {
        while self.peek(MsgFlags::empty()) == Err(Errno::EINTR) {}
        self.taken.store(true, Ordering::Release);
    }

    fn peek(&self, flags: MsgFlags) -> nix::Result<usize> {
        recv(self.guest.as_raw_fd(), &mut [0], flags | MsgFlags::MSG_PEEK)
    }
}

/// Tells the guest what to run as soon as it is `ready`, since the time is a part of it, and
/// waits for its one answer; `None` if it closes the connection without, or never is ready.
pub(super) fn converse(
    mut guest: UnixStream,
    ready: &Receiver<()>,
    instructions: Instructions,
    answer: &AnswerWatch,
) -> Result<Option<ToHost>, FrameError> {
    if ready.recv().is_err() {
        return Ok(None);
    }
    write_message(&mut guest, &ToGuest::Start(Box::new(instructions.now())))?;
    answer.wait();
    read_message(&mut guest)
}

/// Tells a guest that its command goes on in another machine, and waits for the one answer;
/// `None` as above.
pub(super) fn go_on(
    mut guest: UnixStream,
    entropy: Entropy,
    interface: Option<Interface>,
    answer: &AnswerWatch,
) -> Result<Option<ToHost>, FrameError> {
    write_message(
        &mut guest,
        &ToGuest::Restored(incarnation_now(entropy, interface)),
    )?;
    answer.wait();
    read_message(&mut guest)
}

/// 64 bytes of getrandom(2).
pub(crate) fn entropy() -> io::Result<Entropy> {
    Entropy::filled(|bytes| {
        // Up to 256 bytes come whole, and no signal interrupts.
        rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())?;
        Ok(())
    })
}

/// Sends what a guest is told while its command runs, once it has read what to run: before that,
/// it would come in the middle of it.
pub(super) struct Orders {
    guest: UnixStream,
    early: Option<Vec<ToGuest>>,
}

impl Orders {
    pub(super) fn new(guest: UnixStream) -> Self {
        Self {
            guest,
            early: Some(Vec::new()),
        }
    }

    /// The guest has read what to run.
    pub(super) fn guest_listens(&mut self) {
        for order in self.early.take().unwrap_or_default() {
            self.pass_on(&order);
        }
    }

    /// Sends the command a signal, now or as soon as the guest listens. A guest that does not read
    /// what it is told loses it.
    pub(super) fn signal(&mut self, number: u8) {
        self.give(ToGuest::Signal(number));
    }

    /// The same with the size of its terminal.
    pub(super) fn resize(&mut self, size: WindowSize) {
        self.give(ToGuest::Resize(size));
    }

    /// The same with the end of its terminal.
    pub(super) fn hang_up(&mut self) {
        self.give(ToGuest::HangUp);
    }

    fn give(&mut self, order: ToGuest) {
        match &mut self.early {
            Some(early) => early.push(order),
            None => self.pass_on(&order),
        }
    }

    /// Tells a guest that listens of a session.
    pub(super) fn open_session(&self, number: SessionNumber) -> io::Result<()> {
        self.send(&ToGuest::OpenSession(number))
    }

    fn pass_on(&self, order: &ToGuest) {
        if let Err(error) = self.send(order) {
            tracing::warn!("{order:?} did not reach the guest: {error}");
        }
    }

    /// Does not wait: a guest that does not read does not hold up the monitor.
    fn send(&self, message: &ToGuest) -> io::Result<()> {
        let mut frame = Vec::new();
        write_message(&mut frame, message).map_err(io::Error::other)?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.guest.as_raw_fd(), &frame, flags)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_signals_come_when_the_guest_listens_and_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut orders = Orders::new(ours);
        orders.signal(15);
        orders.signal(9);
        orders.guest_listens();
        orders.signal(1);
        drop(orders);
        let mut received = Vec::new();
        while let Some(message) = read_message::<ToGuest>(&mut theirs).unwrap() {
            received.push(message);
        }
        assert_eq!(received, [15, 9, 1].map(ToGuest::Signal));
    }

    #[test]
    fn an_answer_that_has_left_is_known_of_whether_it_was_read_or_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let watch = AnswerWatch::new(ours.try_clone().unwrap());
        assert!(!watch.has_left());
        let answer = ToHost::Ended(guest_protocol::End {
            status: launch::ExitStatus::Exited(0),
            out_of_memory: false,
        });
        write_message(&mut theirs, &answer).unwrap();
        assert!(watch.has_left());
        let entropy = entropy().unwrap();
        assert_eq!(go_on(ours, entropy, None, &watch).unwrap(), Some(answer));
        assert!(watch.has_left());
    }

    #[test]
    fn a_guest_that_hung_up_has_no_answer_any_more() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(AnswerWatch::new(ours).has_left());
    }

    #[test]
    fn a_guest_that_does_not_read_holds_up_nothing() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut orders = Orders::new(ours);
        orders.guest_listens();
        for _ in 0..100_000 {
            orders.signal(15);
        }
    }
}
