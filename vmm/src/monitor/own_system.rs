//! A guest that is a system of the user's: nobody of ours is in it. It is heard on its serial port,
//! asked to end by its power button, and ends by switching itself off or by resetting itself.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use guest_protocol::End;
use launch::ExitStatus;
use nix::libc;

use crate::devices::serial::OnBytes;
use crate::power::PowerButton;

/// What asks a system to end: what asks a process, `SIGPWR` (power failure), and what systemd's
/// containers are asked with (`SIGRTMIN+3`).
const ASK_TO_END: [i32; 6] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGPWR,
    37,
];

/// Nothing can be done in a guest where nobody takes orders.
#[derive(Debug, thiserror::Error)]
#[error("it runs a system of its own, which takes no orders of jaula's")]
pub(super) struct TakesNoOrders;

/// The system, from outside.
pub(super) struct OwnSystem {
    console: UnixStream,
    button: PowerButton,
}

/// What becomes of a system that is sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It goes on, and may have been asked to end.
    GoesOn,
    /// It is killed.
    Killed(End),
}

impl OwnSystem {
    /// One whose console is read at the other end of `console`.
    pub(super) fn new(console: UnixStream, button: PowerButton) -> Self {
        Self { console, button }
    }

    /// Hears what comes on the serial port. Who does not read it stops the guest.
    pub(super) fn listener(&self) -> io::Result<OnBytes> {
        let mut console = Some(self.console.try_clone()?);
        Ok(Box::new(move |bytes| {
            if let Some(stream) = &mut console
                && let Err(error) = stream.write_all(bytes)
            {
                tracing::debug!("nobody hears the guest's console any more: {error}");
                console = None;
            }
        }))
    }

    /// Nothing more is said: whoever reads the console finds its end behind what there is.
    pub(super) fn fall_silent(&self) {
        // It fails only if the other end is closed.
        let _ = self.console.shutdown(Shutdown::Write);
    }

    /// Does what a signal means.
    pub(super) fn send(&self, signal: u8) -> Sent {
        if i32::from(signal) == libc::SIGKILL {
            return Sent::Killed(End {
                status: ExitStatus::Signaled(signal),
                out_of_memory: false,
            });
        }
        if ASK_TO_END.contains(&signal.into())
            && let Err(error) = self.button.press()
        {
            tracing::debug!("the power button: {error}");
        }
        Sent::GoesOn
    }
}

/// It has ended in order.
pub(super) const IN_ORDER: End = End {
    status: ExitStatus::Exited(0),
    out_of_memory: false,
};

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn system() -> (OwnSystem, UnixStream, PowerButton) {
        let (console, heard) = UnixStream::pair().unwrap();
        let button = PowerButton::new().unwrap();
        let system = OwnSystem::new(console, button.try_clone().unwrap());
        (system, heard, button)
    }

    #[test]
    fn what_was_said_is_heard_to_its_end() {
        let (system, mut heard, _) = system();
        system.listener().unwrap()(b"bye\r\n");
        system.fall_silent();
        let mut said = Vec::new();
        heard.read_to_end(&mut said).unwrap();
        assert_eq!(said, b"bye\r\n");
    }

    #[test]
    fn a_console_that_nobody_hears_stops_nobody() {
        let (system, heard, _) = system();
        drop(heard);
        let mut listener = system.listener().unwrap();
        for _ in 0..3 {
            listener(b"hello?");
        }
    }

    #[test]
    fn what_asks_a_process_to_end_presses_the_button_and_nothing_else_does() {
        for (signal, pressed) in [(15, true), (2, true), (37, true), (10, false), (28, false)] {
            let (system, _heard, button) = system();
            assert_eq!(system.send(signal), Sent::GoesOn);
            assert_eq!(button.line().read().is_ok(), pressed, "{signal}");
        }
    }

    #[test]
    fn sigkill_kills() {
        let (system, _heard, button) = system();
        let Sent::Killed(end) = system.send(9) else {
            panic!("it goes on");
        };
        assert_eq!(end.status, ExitStatus::Signaled(9));
        assert!(button.line().read().is_err());
    }
}
