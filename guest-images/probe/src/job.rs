use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::report::Report;
use crate::{faults, files, hash, memory, processes, switches, syscalls, tcp, timer};

/// What is told to somebody who asked for another one.
const WORDS: &str = "startup, syscalls, faults, switches, processes, timer, hash, \
                                memory=MIB, fsync, read, tcp, wait=SECONDS";

/// So much memory is touched if nobody says how much.
const MEMORY_MIB: u32 = 16;

/// One thing to do, as a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// To start, and to end at once.
    Startup,
    /// System calls that ask for nothing, for four KiB that are in memory, and for a file.
    Syscalls,
    /// Pages that are touched for the first time.
    Faults,
    /// To another process or thread and back, on one processor.
    Switches,
    /// `fork`, `execve` and the wait for the end.
    Processes,
    /// How much later than asked a sleeper wakes.
    Timer,
    /// SHA-256 over a fixed number of bytes.
    Hash,
    /// So many MiB are touched, and given back.
    Memory { mib: u32 },
    /// A small write to a file in the working directory, and its way to the disk.
    Fsync,
    /// A file of the image that this instance has not read before.
    Read,
    /// To a listener on the loopback interface and back.
    Tcp,
    /// Nothing, for so many seconds.
    Wait { seconds: u32 },
}

impl Job {
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        let (name, number) = match word.split_once('=') {
            Some((name, number)) => (name, Some(number.parse())),
            None => (word, None),
        };
        Ok(match (name, number) {
            ("startup", None) => Self::Startup,
            ("syscalls", None) => Self::Syscalls,
            ("faults", None) => Self::Faults,
            ("switches", None) => Self::Switches,
            ("processes", None) => Self::Processes,
            ("timer", None) => Self::Timer,
            ("hash", None) => Self::Hash,
            ("memory", None) => Self::Memory { mib: MEMORY_MIB },
            ("memory", Some(Ok(mib))) if mib > 0 => Self::Memory { mib },
            ("fsync", None) => Self::Fsync,
            ("read", None) => Self::Read,
            ("tcp", None) => Self::Tcp,
            ("wait", Some(Ok(seconds))) => Self::Wait { seconds },
            _ => {
                let word = word.to_owned();
                return Err(Failure::NotAJob { word, words: WORDS });
            }
        })
    }

    pub(crate) fn run(self, report: &mut Report) -> Result<(), Failure> {
        match self {
            Self::Startup => Ok(()),
            Self::Syscalls => syscalls::measure(report),
            Self::Faults => faults::measure(report),
            Self::Switches => switches::measure(report),
            Self::Processes => processes::measure(report),
            Self::Timer => timer::measure(report),
            Self::Hash => hash::measure(report),
            Self::Memory { mib } => memory::measure(mib, report),
            Self::Fsync => files::measure_fsync(report),
            Self::Read => files::measure_read(report),
            Self::Tcp => tcp::measure(report),
            Self::Wait { seconds } => {
                thread::sleep(Duration::from_secs(seconds.into()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_a_job_and_others_are_refused() {
        for word in WORDS.split(", ") {
            let word = word.replace("MIB", "3").replace("SECONDS", "4");
            assert!(Job::parse(&word).is_ok(), "{word}");
        }
        assert_eq!(Job::parse("memory=3").unwrap(), Job::Memory { mib: 3 });
        for word in [
            "",
            "Startup",
            "startup=1",
            "memory=0",
            "memory=x",
            "wait",
            "wait=-1",
        ] {
            let error = Job::parse(word).unwrap_err().to_string();
            assert!(error.starts_with("there is no job \""), "{error}");
        }
    }
}
