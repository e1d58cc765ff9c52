use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;

use guest_protocol::{FrameError, Start, ToGuest, ToHost, read_message, write_message};
use launch::{MonotonicNs, Stdio};

use super::meeting::Listeners;

/// Waits for PID 1, tells it what to run, carries the command's streams, and returns the one answer when
/// all output is there; `None` if there was none.
///
/// `start` is asked when somebody is there to hear it, as the time is a part of it. That moment is kept in
/// `called_at`.
pub(super) fn hold(
    listeners: &Listeners,
    called_at: &OnceLock<MonotonicNs>,
    start: impl FnOnce() -> io::Result<Start>,
    stdio: Stdio,
) -> Result<Option<ToHost>, FrameError> {
    let mut control = accept(&listeners.control)?;
    called_at.get_or_init(MonotonicNs::now);
    let stdin = accept(&listeners.stdin)?;
    let stdout = accept(&listeners.stdout)?;
    let stderr = accept(&listeners.stderr)?;
    write_message(&mut control, &ToGuest::Start(Box::new(start()?)))?;
    let input = File::from(stdio.stdin);
    // Nobody waits for it: whoever writes to our standard input need never end.
    thread::Builder::new().spawn(move || carry_in(input, stdin))?;
    thread::scope(|scope| {
        let outputs = [(stdout, stdio.stdout), (stderr, stdio.stderr)];
        for (from, to) in outputs {
            thread::Builder::new().spawn_scoped(scope, move || carry_out(from, File::from(to)))?;
        }
        read_message(&mut control)
    })
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Ends the connection's way when there is no more. That nobody wants it is no error.
fn carry_in(mut from: impl Read, mut to: TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// With its end the connection is closed, from which the guest learns that nobody listens.
fn carry_out(mut from: TcpStream, mut to: impl Write) {
    let _ = io::copy(&mut from, &mut to);
}
