//! What the command reads from and writes to.
//!
//! The command never gets the terminal itself: whoever holds one can type into it (`TIOCSTI`,
//! `ioctl_tty(2)`) and change its settings. Where a stream is a terminal, a pipe takes its place
//! and jaula copies. A command with a terminal of its own has that in place of the streams, and
//! its launcher copies.
//!
//! Of 0, 1 and 2, one that is closed when jaula starts was opened on `/dev/null` by Rust's
//! runtime before `main`, so none of jaula's own descriptors can end up as the command's output.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use launch::Stdio;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::foreground::Attached;

/// Why the command's streams can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the standard streams of the command can't be set up")]
pub struct StdioError(#[from] io::Error);

impl From<StdioError> for crate::error::Error {
    fn from(error: StdioError) -> Self {
        launch::Error::new(error).into()
    }
}

/// Bytes on their way from one descriptor to another.
struct Relay {
    from: File,
    to: File,
}

impl Relay {
    /// Copies in a thread of its own, until nobody can write any more or nobody reads.
    fn start(mut self) -> io::Result<JoinHandle<io::Result<u64>>> {
        thread::Builder::new()
            .name("terminal".into())
            .spawn(move || io::copy(&mut self.from, &mut self.to))
    }
}

/// The copying between the command and the terminals that it does not get.
#[derive(Default)]
pub struct Terminals {
    input: Option<Relay>,
    outputs: Vec<Relay>,
}

impl Terminals {
    /// Starts to copy. Not before the launch, which is cheapest while there is one thread.
    pub fn start(self) -> Result<Outputs, StdioError> {
        if let Some(input) = self.input {
            // It ends with this process: a read from a terminal can't be called off.
            input.start()?;
        }
        let outputs = self.outputs.into_iter().map(Relay::start);
        Ok(Outputs(outputs.collect::<Result<_, _>>()?))
    }
}

/// Output that is being copied to a terminal.
pub struct Outputs(Vec<JoinHandle<io::Result<u64>>>);

impl Outputs {
    /// Waits until all is copied, once nobody holds the command's ends any more.
    pub fn finish(self) {
        for output in self.0 {
            // A terminal that is gone takes no more output, and nobody is there to tell.
            let _ = output.join();
        }
    }
}

/// The command's streams: ours, but pipes for terminals and, unless it is interactive, nothing
/// to read. A terminal of the command's own is copied from and to ours.
pub fn for_command(attached: Attached) -> Result<(Stdio, Terminals), StdioError> {
    if attached.tty {
        return Ok((for_terminal(attached.interactive)?, Terminals::default()));
    }
    let (stdin, input) = if !attached.interactive {
        (File::open("/dev/null")?.into(), None)
    } else if io::stdin().is_terminal() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
        let from = own(io::stdin())?.into();
        let to = writer.into();
        (reader, Some(Relay { from, to }))
    } else {
        (own(io::stdin())?, None)
    };
    let mut outputs = Vec::new();
    let stdout = output(io::stdout(), &mut outputs)?;
    let stderr = output(io::stderr(), &mut outputs)?;
    let stdio = Stdio {
        stdin,
        stdout,
        stderr,
    };
    Ok((stdio, Terminals { input, outputs }))
}

fn for_terminal(interactive: bool) -> Result<Stdio, StdioError> {
    let stdio = Stdio::null()?;
    Ok(Stdio {
        stdin: match interactive {
            true => own(io::stdin())?,
            false => stdio.stdin,
        },
        stdout: own(io::stdout())?,
        // It shows everything in one place.
        stderr: stdio.stderr,
    })
}

fn output(ours: impl AsFd + IsTerminal, relays: &mut Vec<Relay>) -> io::Result<OwnedFd> {
    if !ours.is_terminal() {
        return own(ours);
    }
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    relays.push(Relay {
        from: reader.into(),
        to: own(ours)?.into(),
    });
    Ok(writer)
}

fn own(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
