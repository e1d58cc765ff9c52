//! Whether the guest's memory was enough.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat, open};
use rustix::io::Errno;

use crate::fatal::Fatal;

/// Whether the kernel of this machine killed a process because memory ran out. All that it runs
/// but PID 1, which it spares, is the command's.
///
/// It is read in the kernel's log. The counter of `/proc/vmstat` is one of many that this kernel
/// is built without, and the memory controller's would have every page charged.
pub(crate) fn has_killed() -> Result<bool, Fatal> {
    // The last of it is read; of what is logged for a kill, the line that counts comes last.
    const LOG_BYTES: usize = 16 << 10;
    let mut log = vec![0u8; LOG_BYTES];
    let length = read_log(&mut log).map_err(Fatal::when("reading the kernel's log"))?;
    log.truncate(length);
    Ok(tells_of_a_kill(&log))
}

/// Reads the end of the kernel's log; returns how many bytes there were.
fn read_log(into: &mut [u8]) -> io::Result<usize> {
    /// Of `include/linux/syslog.h`.
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    let length = into.len() as libc::c_int;
    // SAFETY: the kernel writes to `into` at most as many bytes as it has.
    let read = unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, into.as_mut_ptr().cast(), length) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Sees what the kernel logs from some moment on.
pub(crate) struct MemoryWatch {
    /// Each read of it gives one record (`Documentation/ABI/testing/dev-kmsg`).
    log: File,
}

impl MemoryWatch {
    /// From now on.
    pub(crate) fn begin() -> Result<Self, Errno> {
        const PATH: &str = "/kmsg";
        // Device 1:11 (`Documentation/admin-guide/devices.txt`).
        match mknodat(
            CWD,
            PATH,
            FileType::CharacterDevice,
            Mode::RUSR,
            makedev(1, 11),
        ) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = open(PATH, flags, Mode::empty())?;
        // Behind the last record.
        rustix::fs::seek(&log, rustix::fs::SeekFrom::End(0))?;
        Ok(Self::of(log.into()))
    }

    /// That of a log.
    pub(crate) fn of(log: File) -> Self {
        Self { log }
    }

    /// Whether the kernel has killed a process since then.
    pub(crate) fn has_killed(mut self) -> io::Result<bool> {
        /// The longest that there is: `CONSOLE_EXT_LOG_MAX` or `PRINTK_MESSAGE_MAX`,
        /// `kernel/printk/internal.h`.
        const RECORD_BYTES: usize = 8 << 10;
        let mut record = vec![0; RECORD_BYTES];
        loop {
            match self.log.read(&mut record) {
                Ok(0) => return Ok(false),
                Ok(length) if tells_of_a_kill(&record[..length]) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // What came next was overwritten; it goes on behind that.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Looks for what `__oom_kill_process` (mm/oom_kill.c) says.
fn tells_of_a_kill(log: &[u8]) -> bool {
    const WORDS: &[u8] = b"Out of memory: Killed process ";
    log.windows(WORDS.len()).any(|window| window == WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_logs_whom_it_killed() {
        for (log, expected) in [
            (
                &b"<3>[ 1.2] Out of memory: Killed process 33 (tail) total-vm:1kB\n"[..],
                true,
            ),
            (b"<6>[ 0.1] Memory: 20000K/32768K available\n", false),
            (b"", false),
        ] {
            assert_eq!(tells_of_a_kill(log), expected);
        }
    }
}
