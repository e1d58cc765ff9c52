//! What the command reads from and writes to.
//!
//! The command never gets the terminal itself: whoever holds one can type into it (`TIOCSTI`,
//! `ioctl_tty(2)`) and change its settings. Nor does it get a file of the host's: root in a
//! container could open it anew through `/proc/self/fd`, to write to what it was given to read, or
//! make a set-user-ID program of what it was given to write to; and from a directory it could go
//! wherever it likes. In their place there is a pipe, and jaula copies. A command with a terminal of
//! its own has that in place of the streams, and its launcher copies.
//!
//! Of 0, 1 and 2, one that is closed when jaula starts was opened on `/dev/null` by Rust's
//! runtime before `main`, so none of jaula's own descriptors can end up as the command's output.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use launch::Stdio;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag, fstat, major, minor};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::pipe2;

use crate::foreground::Attached;

/// Where pipes without a name are: `PIPEFS_MAGIC` of `include/uapi/linux/magic.h`.
const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);

/// Number of `/dev/null`, Documentation/admin-guide/devices.txt of the kernel.
const NULL: (u64, u64) = (1, 3);

/// Why the command's streams can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// One of ours is a directory.
    #[error("standard {0} is a directory")]
    Directory(&'static str),
    /// The system refuses.
    #[error("the standard streams of the command can't be set up")]
    Io(#[from] io::Error),
}

impl From<StdioError> for crate::error::Error {
    fn from(error: StdioError) -> Self {
        launch::Error::new(error).into()
    }
}

/// Not all that the command said is where it was to go.
#[derive(Debug, thiserror::Error)]
#[error("the command's output can't be written")]
pub struct OutputError(#[source] io::Error);

/// Bytes on their way from one descriptor to another.
struct Relay {
    from: File,
    to: File,
}

impl Relay {
    /// Copies in a thread of its own, until nobody can write any more or nobody reads.
    fn start(mut self) -> io::Result<JoinHandle<io::Result<u64>>> {
        thread::Builder::new()
            .name("relay".into())
            .spawn(move || io::copy(&mut self.from, &mut self.to))
    }
}

/// The copying between the command and what it does not get.
#[derive(Default)]
pub struct Relays {
    input: Option<Relay>,
    outputs: Vec<Relay>,
}

impl Relays {
    /// Starts to copy. Not before the launch, which is cheapest while there is one thread.
    pub fn start(self) -> Result<Outputs, StdioError> {
        if let Some(input) = self.input {
            // It ends with this process: a read from a terminal can't be called off.
            input.start()?;
        }
        let start = |relay: Relay| {
            let is_terminal = relay.to.is_terminal();
            relay.start().map(|thread| Output {
                is_terminal,
                thread,
            })
        };
        let outputs = self.outputs.into_iter().map(start);
        Ok(Outputs(outputs.collect::<Result<_, _>>()?))
    }
}

struct Output {
    is_terminal: bool,
    thread: JoinHandle<io::Result<u64>>,
}

/// Output that is being copied.
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// Waits until all is copied, once nobody holds the command's ends any more.
    ///
    /// # Errors
    ///
    /// When a file does not take all of it. A terminal that is gone takes no more output, and
    /// nobody is there to tell.
    pub fn finish(self) -> Result<(), OutputError> {
        let mut result = Ok(());
        for output in self.0 {
            let panicked = |_| Err(io::Error::other("the thread panicked"));
            match output.thread.join().unwrap_or_else(panicked) {
                Err(error) if !output.is_terminal => result = Err(OutputError(error)),
                _ => {}
            }
        }
        result
    }
}

/// One of our own streams.
struct Own {
    fd: OwnedFd,
    stat: FileStat,
}

impl Own {
    /// `name` is what it is called behind `standard`.
    fn new(stream: impl AsFd, name: &'static str) -> Result<Self, StdioError> {
        let fd = stream.as_fd().try_clone_to_owned()?;
        let stat = fstat(&fd).map_err(io::Error::from)?;
        let own = Self { fd, stat };
        match own.kind() {
            SFlag::S_IFDIR => Err(StdioError::Directory(name)),
            _ => Ok(own),
        }
    }

    fn kind(&self) -> SFlag {
        SFlag::from_bits_truncate(self.stat.st_mode & SFlag::S_IFMT.bits())
    }

    /// Whether the command may have it: it is a socket, or a pipe that has no name. Of `/dev/null`
    /// a container gets its own.
    fn can_be_given(&self) -> io::Result<bool> {
        Ok(match self.kind() {
            SFlag::S_IFSOCK => true,
            SFlag::S_IFIFO => fstatfs(&self.fd)?.filesystem_type() == PIPEFS_MAGIC,
            SFlag::S_IFCHR => (major(self.stat.st_rdev), minor(self.stat.st_rdev)) == NULL,
            _ => false,
        })
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.stat.st_dev, self.stat.st_ino) == (other.stat.st_dev, other.stat.st_ino)
    }
}

/// The command's streams: ours, but pipes for what it must not have, and, unless it is interactive,
/// nothing to read. A terminal of the command's own is copied from and to ours.
pub fn for_command(attached: Attached) -> Result<(Stdio, Relays), StdioError> {
    if attached.tty {
        return Ok((for_terminal(attached.interactive)?, Relays::default()));
    }
    let (stdin, input) = match attached.interactive {
        true => input(Own::new(io::stdin(), "input")?)?,
        false => (File::open("/dev/null")?.into(), None),
    };
    let ours = Own::new(io::stdout(), "output")?;
    let err = Own::new(io::stderr(), "error")?;
    let mut outputs = Vec::new();
    // One pipe for both, where both go to one place, keeps what is said there in order.
    let joint = ours.is_same_file(&err) && !ours.can_be_given()?;
    let stdout = output(ours, &mut outputs)?;
    let stderr = match joint {
        true => stdout.try_clone()?,
        false => output(err, &mut outputs)?,
    };
    let stdio = Stdio {
        stdin,
        stdout,
        stderr,
    };
    Ok((stdio, Relays { input, outputs }))
}

fn for_terminal(interactive: bool) -> Result<Stdio, StdioError> {
    let stdio = Stdio::null()?;
    Ok(Stdio {
        stdin: match interactive {
            true => Own::new(io::stdin(), "input")?.fd,
            false => stdio.stdin,
        },
        stdout: Own::new(io::stdout(), "output")?.fd,
        // It shows everything in one place.
        stderr: stdio.stderr,
    })
}

fn input(ours: Own) -> io::Result<(OwnedFd, Option<Relay>)> {
    if ours.can_be_given()? {
        return Ok((ours.fd, None));
    }
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let relay = Relay {
        from: ours.fd.into(),
        to: writer.into(),
    };
    Ok((reader, Some(relay)))
}

fn output(ours: Own, relays: &mut Vec<Relay>) -> io::Result<OwnedFd> {
    if ours.can_be_given()? {
        return Ok(ours.fd);
    }
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    relays.push(Relay {
        from: reader.into(),
        to: ours.fd.into(),
    });
    Ok(writer)
}
