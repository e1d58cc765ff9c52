//! The launcher's end of a command's terminal.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use entry::pseudoterminal;
use launch::WindowSize;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

use crate::error::Error;

/// Read at once: as much as a terminal gives.
const CHUNK_BYTES: usize = 4096;

/// Over which the master of a terminal comes that a child process opens.
pub(crate) struct Hatch {
    size: WindowSize,
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Hatch {
    pub(crate) fn new(size: WindowSize) -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Datagram, None, flags)
            .map_err(terminal_error)?;
        Ok(Self { size, ours, theirs })
    }

    /// What the child is to do.
    pub(crate) fn terminal(&self) -> entry::Terminal<'_> {
        entry::Terminal {
            size: self.size,
            socket: self.theirs.as_fd(),
        }
    }

    /// Takes what the child has sent, and begins to copy: what `stdin` gives is typed into the
    /// terminal, and what that shows is written to `stdout`.
    pub(crate) fn connect(self, stdin: OwnedFd, stdout: OwnedFd) -> Result<Terminal, Error> {
        let master = receive(self.ours.as_fd()).map_err(terminal_error)?;
        Terminal::start(master, stdin, stdout).map_err(Error::Terminal)
    }
}

fn terminal_error(errno: Errno) -> Error {
    Error::Terminal(errno.into())
}

/// Takes the one descriptor that has been sent.
fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let mut space = nix::cmsg_space!(RawFd);
    let mut byte = [0];
    let mut data = [io::IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut space), flags)?;
    let mut taken = None;
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            for fd in descriptors {
                // SAFETY: the kernel has just made it for us, and nothing else owns it.
                taken = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    taken.ok_or(Errno::EBADMSG)
}

/// A terminal whose master is copied from and to, by two threads. It is hung up, as when a window
/// is closed, when its output can't be written any more, or when its input was a terminal that was
/// hung up.
pub(crate) struct Terminal {
    /// The threads have it; it is closed when they end.
    master: Weak<OwnedFd>,
    copying: Mutex<Option<Copying>>,
}

struct Copying {
    /// Written to when nobody is left to write to the terminal.
    stop: PipeWriter,
    output: JoinHandle<()>,
}

impl Terminal {
    fn start(master: OwnedFd, stdin: OwnedFd, stdout: OwnedFd) -> io::Result<Self> {
        // While we have it open, too, a command that closes all of its own may open it again.
        let other_end = pseudoterminal::open_other_end(master.as_fd())?;
        let master = Arc::new(master);
        let (stopped, stop) = io::pipe()?;
        let (input_stopped, stop_input) = io::pipe()?;
        let input = (Arc::clone(&master), File::from(stdin), stop.try_clone()?);
        let output = (Arc::clone(&master), File::from(stdout));
        let terminal = Arc::downgrade(&master);
        let thread = || thread::Builder::new().name("terminal".into());
        thread().spawn(move || {
            let (master, mut stdin, stop) = input;
            copy_input(&master, &mut stdin, &input_stopped);
            if pseudoterminal::is_hung_up(stdin.as_fd()) {
                tell(&stop);
            }
        })?;
        let output = thread().spawn(move || {
            let (master, stdout) = output;
            copy_output(&master, stdout, &stopped);
            drop((other_end, stop_input));
        })?;
        Ok(Self {
            master: terminal,
            copying: Mutex::new(Some(Copying { stop, output })),
        })
    }

    /// Tells it its size; nothing, if it was hung up.
    pub(crate) fn resize(&self, size: WindowSize) -> Result<(), Error> {
        let Some(master) = self.master.upgrade() else {
            return Ok(());
        };
        pseudoterminal::set_window_size(master.as_fd(), size).map_err(Error::Terminal)
    }

    /// Waits until all is written that was shown, when the command has ended. Somebody elsewhere
    /// who was given the terminal is not waited for. May be called again.
    pub(crate) fn finish(&self) {
        let mut copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Copying { stop, output }) = copying.take() {
            tell(&stop);
            // A panic there has been told of.
            let _ = output.join();
        }
    }
}

/// Until the input ends, or `stopped`. The end of the input is nothing that a terminal knows of.
fn copy_input(master: &OwnedFd, stdin: &mut File, stopped: &PipeReader) {
    let mut chunk = [0; CHUNK_BYTES];
    while wait_for(stdin.as_fd(), PollFlags::POLLIN, stopped) == Ok(Next::Ready) {
        let length = match stdin.read(&mut chunk) {
            Err(error) if is_not_yet(&error) => continue,
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let mut typed = chunk.get(..length).unwrap_or_default();
        while !typed.is_empty() {
            if wait_for(master.as_fd(), PollFlags::POLLOUT, stopped) != Ok(Next::Ready) {
                return;
            }
            match nix::unistd::write(master, typed) {
                Ok(written) => typed = typed.get(written..).unwrap_or_default(),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Until there is nothing more to be read after `stopped`, or nobody who takes it.
fn copy_output(master: &OwnedFd, mut stdout: File, stopped: &PipeReader) {
    let mut chunk = [0; CHUNK_BYTES];
    while let Ok(next) = wait_for(master.as_fd(), PollFlags::POLLIN, stopped) {
        match nix::unistd::read(master, &mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                let shown = chunk.get(..length).unwrap_or_default();
                if write_all(&mut stdout, shown).is_err() {
                    return;
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if next == Next::Ready => {}
            // EIO among them: the other end was hung up.
            Err(_) => return,
        }
    }
}

/// Says that it is time to stop.
fn tell(mut stop: &PipeWriter) {
    // Who does not listen any more has stopped.
    let _ = stop.write(&[0]);
}

/// Also where writes don't wait.
fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut writable = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                poll(&mut writable, PollTimeout::NONE)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// What is next with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It can be used, or is at its end.
    Ready,
    /// It can't, and the copying is to stop.
    Stop,
}

fn wait_for(fd: BorrowedFd<'_>, events: PollFlags, stopped: &PipeReader) -> Result<Next, Errno> {
    loop {
        let mut fds = [
            PollFd::new(fd, events),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            polled => polled?,
        };
        match fds.map(|fd| fd.any().unwrap_or(true)) {
            [true, _] => return Ok(Next::Ready),
            [false, true] => return Ok(Next::Stop),
            [false, false] => {}
        }
    }
}
