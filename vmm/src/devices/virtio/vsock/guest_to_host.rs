use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use super::credit::{BUFFER_BYTES, ReceiveCredit};
use super::violation::Violation;
use crate::devices::virtio::Readable;

/// How far the direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// The guest sends.
    Open,
    /// The guest has sent everything, of which the host does not have everything yet.
    Ending,
    /// The host has everything and knows it.
    Ended,
    /// The host takes no more; what comes is dropped.
    Refused,
}

/// The data from a guest: straight on to the host, and what the host does not take at once is
/// kept, up to the credit that the guest was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GuestToHost {
    state: State,
    pub(super) credit: ReceiveCredit,
    kept: Vec<u8>,
}

impl GuestToHost {
    pub(super) fn new() -> Self {
        Self {
            state: State::Open,
            credit: ReceiveCredit::default(),
            kept: Vec::new(),
        }
    }

    /// Whether packets can have brought it about; one that was restored may be anything.
    pub(super) fn is_possible(&self) -> bool {
        let keeps = match self.state {
            State::Open => true,
            State::Ending => !self.kept.is_empty(),
            State::Ended | State::Refused => self.kept.is_empty(),
        };
        keeps
            && self.kept.len() <= BUFFER_BYTES as usize
            && self.credit.kept_bytes() as usize == self.kept.len()
    }

    /// Goes on with another stream, whose host is told what the last one was.
    pub(super) fn join(&self, stream: &UnixStream) {
        if self.state == State::Ended {
            // It fails only if the other end is gone, to which nothing need be said.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// The guest has sent `data`.
    pub(super) fn receive(
        &mut self,
        stream: &UnixStream,
        mut data: Readable<'_>,
    ) -> Result<(), Violation> {
        self.credit.receive(data.bytes())?;
        match self.state {
            State::Open => (),
            State::Ending | State::Ended => return Err(Violation::DataAfterEnd),
            State::Refused => {
                self.credit.forward_all();
                return Ok(());
            }
        }
        while self.kept.is_empty() && data.bytes() > 0 {
            let sent = data.send(stream).and_then(|bytes| {
                self.credit.forward(bytes);
                Ok(data.clone().split_at(bytes)?)
            });
            match sent {
                Ok((_, rest)) => data = rest,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.give_up(&error);
                    return Ok(());
                }
            }
        }
        // What is left is no more than the guest had credit for.
        data.append_to(&mut self.kept);
        Ok(())
    }

    /// Writes as much of what was kept as the host takes now.
    pub(super) fn flush(&mut self, mut stream: &UnixStream) {
        let mut written = 0;
        while written < self.kept.len() {
            match stream.write(&self.kept[written..]) {
                Ok(bytes) => {
                    written += bytes;
                    self.credit.forward(bytes as u32);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return self.give_up(&error),
            }
        }
        self.kept.drain(..written);
        if self.kept.is_empty() {
            // Gives the memory back as well.
            self.kept = Vec::new();
            self.pass_end_on(stream);
        }
    }

    /// The guest sends no more.
    pub(super) fn end(&mut self, stream: &UnixStream) {
        if self.state == State::Open {
            self.state = State::Ending;
            if self.kept.is_empty() {
                self.pass_end_on(stream);
            }
        }
    }

    fn pass_end_on(&mut self, stream: &UnixStream) {
        if self.state == State::Ending {
            self.state = State::Ended;
            // It fails only if the other end is gone, to which nothing need be said.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// The host takes no more.
    pub(super) fn refuse(&mut self) {
        if self.state != State::Ended {
            self.state = State::Refused;
            self.credit.forward_all();
            self.kept = Vec::new();
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::debug!("sockets: the host takes no more: {error}");
        self.refuse();
    }

    /// Whether the host takes no more although the guest could send.
    pub(super) fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Whether something waits for the host to take it.
    pub(super) fn is_blocked(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether a guest with more to send has reason to be told of room for it.
    pub(super) fn credit_update_due(&self) -> bool {
        self.state == State::Open && self.credit.worth_telling()
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.len()
    }
}
