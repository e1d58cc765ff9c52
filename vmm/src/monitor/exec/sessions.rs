use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_protocol::{Ports, SessionNumber};

use super::Lease;
use crate::devices::virtio::vsock::Vsock;
use crate::monitor::control::Orders;
use crate::monitor::event::Event;
use crate::monitor::message::Reason;
use crate::monitor::streams::{self, HostEnds};

/// Most sessions at a time: each has five threads.
const MAX_SESSIONS: u8 = 128;

/// Somebody waits for a session.
pub(in crate::monitor) struct OpenRequest {
    /// Takes the session, or why there is none.
    pub(in crate::monitor) done: Sender<Result<OpenSession, Reason>>,
}

/// A session that the guest was told of.
pub(in crate::monitor) struct OpenSession {
    pub(in crate::monitor) ends: HostEnds,
    /// Held by whatever uses the ends.
    pub(in crate::monitor) lease: Lease,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{MAX_SESSIONS} commands run there beside the first already")]
    TooMany,
    #[error("can't make sockets for it")]
    Sockets(#[source] io::Error),
    #[error("the guest does not listen")]
    Deaf(#[source] io::Error),
}

impl OpenError {
    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::TooMany => Some("wait until one of them has ended"),
            Self::Sockets(_) | Self::Deaf(_) => None,
        }
    }
}

/// The sessions of a machine, as the main thread sees them.
pub(in crate::monitor) struct Sessions {
    sockets: Arc<Mutex<Vsock>>,
    events: Sender<Event>,
    numbers: BTreeSet<SessionNumber>,
    /// Who asked before the first command ran, which a session joins.
    early: Option<Vec<OpenRequest>>,
}

impl Sessions {
    pub(in crate::monitor) fn new(sockets: Arc<Mutex<Vsock>>, events: Sender<Event>) -> Self {
        Self {
            sockets,
            events,
            numbers: BTreeSet::new(),
            early: Some(Vec::new()),
        }
    }

    /// Opens one, now or as soon as the first command runs.
    pub(in crate::monitor) fn open(&mut self, request: OpenRequest, orders: &Orders) {
        match &mut self.early {
            Some(early) => early.push(request),
            None => {
                let opened = self.try_open(orders);
                let opened = opened.map_err(|error| Reason::new(&error, error.remedy()));
                // Whoever asked may be gone; the lease is given back then.
                let _ = request.done.send(opened);
            }
        }
    }

    /// The first command runs.
    pub(in crate::monitor) fn begin(&mut self, orders: &Orders) {
        for request in self.early.take().unwrap_or_default() {
            self.open(request, orders);
        }
    }

    /// Nothing uses the session's ends any more.
    pub(in crate::monitor) fn close(&mut self, number: SessionNumber) {
        self.numbers.remove(&number);
        self.sockets().remove_ports(Ports::of(number).all());
    }

    /// Whether there is none.
    pub(in crate::monitor) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn try_open(&mut self, orders: &Orders) -> Result<OpenSession, OpenError> {
        let number = (0..MAX_SESSIONS)
            .map(SessionNumber)
            .find(|number| !self.numbers.contains(number))
            .ok_or(OpenError::TooMany)?;
        let (guest_ends, ends) = streams::pairs(Ports::of(number)).map_err(OpenError::Sockets)?;
        self.sockets()
            .add_ports(guest_ends)
            .map_err(OpenError::Sockets)?;
        self.numbers.insert(number);
        let lease = Lease::new(number, self.events.clone());
        orders.open_session(number).map_err(OpenError::Deaf)?;
        Ok(OpenSession { ends, lease })
    }

    fn sockets(&self) -> MutexGuard<'_, Vsock> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{self, Receiver};

    use guest_protocol::{GUEST_CID, ToGuest, read_message};

    use super::*;

    struct Machine {
        sessions: Sessions,
        orders: Orders,
        guest: UnixStream,
        events: Receiver<Event>,
    }

    impl Machine {
        fn new() -> Self {
            let sockets = Vsock::new(GUEST_CID, BTreeMap::new()).unwrap();
            let (ours, guest) = UnixStream::pair().unwrap();
            guest.set_nonblocking(true).unwrap();
            let (sender, events) = mpsc::channel();
            let mut orders = Orders::new(ours);
            orders.guest_listens();
            Self {
                sessions: Sessions::new(Arc::new(Mutex::new(sockets)), sender),
                orders,
                guest,
                events,
            }
        }

        fn ask(&mut self) -> Receiver<Result<OpenSession, Reason>> {
            let (done, opened) = mpsc::channel();
            self.sessions.open(OpenRequest { done }, &self.orders);
            opened
        }

        /// The number of the session that the guest is told of.
        fn told(&mut self) -> Option<u8> {
            match read_message(&mut self.guest) {
                Ok(Some(ToGuest::OpenSession(number))) => Some(number.0),
                _ => None,
            }
        }
    }

    #[test]
    fn one_that_is_asked_for_early_is_opened_when_the_first_command_runs() {
        let mut machine = Machine::new();
        let opened = machine.ask();
        assert_eq!(machine.told(), None);
        machine.sessions.begin(&machine.orders);
        assert!(opened.try_recv().unwrap().is_ok());
        assert_eq!(machine.told(), Some(0));
    }

    #[test]
    fn a_number_is_given_again_when_its_session_is_over() {
        let mut machine = Machine::new();
        machine.sessions.begin(&machine.orders);
        let mut held = Vec::new();
        for number in 0..MAX_SESSIONS {
            held.push(machine.ask().try_recv().unwrap().unwrap_or_else(|reason| {
                panic!("{}", reason.why);
            }));
            assert_eq!(machine.told(), Some(number));
        }
        let refused = machine.ask().try_recv().unwrap().err().unwrap();
        assert!(refused.why.starts_with("128 commands"), "{}", refused.why);
        drop(held.remove(5));
        let Ok(Event::SessionOver(number)) = machine.events.try_recv() else {
            panic!("one is over");
        };
        machine.sessions.close(number);
        held.extend(machine.ask().try_recv().unwrap());
        assert_eq!(machine.told(), Some(5));
    }

    #[test]
    fn one_that_the_guest_can_not_be_told_of_is_none() {
        let mut machine = Machine::new();
        machine.sessions.begin(&machine.orders);
        machine.guest.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(machine.ask().try_recv().unwrap().is_err());
        let Ok(Event::SessionOver(number)) = machine.events.try_recv() else {
            panic!("it is over");
        };
        machine.sessions.close(number);
        assert!(machine.sessions.is_empty());
    }
}
