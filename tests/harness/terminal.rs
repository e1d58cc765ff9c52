//! A terminal that jaula is started from, and somebody who types and reads there.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{posix_openpt, unlockpt};
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::World;

/// Longest that something takes to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// The terminal, with what was shown in it.
pub struct Terminal {
    keyboard: File,
    /// Kept open, so that it can be looked at when everybody else has left it.
    line: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Ends the reading.
    _close: PipeWriter,
}

/// Waits until there is something to be read; `false` if the terminal was closed.
fn is_readable(screen: &File, closed: &PipeReader) -> bool {
    let mut fds = [closed.as_fd(), screen.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE).unwrap();
    fds[0].any() == Some(false)
}

impl Terminal {
    pub fn new(rows: u16, columns: u16) -> Self {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        unlockpt(&master).unwrap();
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: numbers only.
        let line = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
        assert!(line >= 0);
        // SAFETY: the kernel has just made it for us, and nothing else owns it.
        let line = unsafe { OwnedFd::from_raw_fd(line) };
        // SAFETY: so it is with the other end.
        let keyboard = File::from(unsafe { OwnedFd::from_raw_fd(master.into_raw_fd()) });
        let mut screen = keyboard.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let showing = Arc::clone(&shown);
        let (closed, close) = pipe().unwrap();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while is_readable(&screen, &closed) {
                let Ok(length @ 1..) = screen.read(&mut chunk) else {
                    break;
                };
                showing.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        let terminal = Self {
            keyboard,
            line,
            shown,
            _close: close,
        };
        terminal.resize(rows, columns);
        terminal
    }

    /// Starts `program` as a shell would that has this terminal.
    pub fn start<'a>(
        &self,
        world: &World,
        program: &'a str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Child {
        let setsid = ["--wait", "--ctty", program];
        let mut command = world.command("setsid", setsid.into_iter().chain(args));
        let stream = || Stdio::from(self.line.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        command.spawn().unwrap()
    }

    /// Types.
    pub fn type_in(&self, text: &str) {
        (&self.keyboard).write_all(text.as_bytes()).unwrap();
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: TIOCSWINSZ reads one winsize, which lives through the call.
        let set =
            unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0);
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until this was shown.
    pub fn expect(&self, text: &str) {
        self.wait_until(&format!("{text:?}"), |it| it.shown().contains(text));
    }

    /// Waits until it shows each line that is typed itself, and does what Ctrl-C means, or not.
    pub fn expect_raw(&self, raw: bool) {
        self.wait_until(&format!("raw: {raw}"), |it| it.is_raw() == raw);
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let shown = self.shown();
            assert!(start.elapsed() < SEEN_WITHIN, "no {what}: {shown}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it does nothing itself with what is typed.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.line.as_fd()).unwrap().local_flags;
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        !modes.intersects(cooked)
    }
}
