use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use launch::{Digest, MonotonicNs};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ready::LineWatch;

/// How much of each output stream is kept, in bytes. A workload may print any amount; more than
/// this is counted and digested, so it can still be told whether two outputs are equal.
pub const KEPT_BYTES: usize = 1 << 20;

/// Standard output or standard error of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Its beginning; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// How many bytes were written in all.
    pub total_bytes: u64,
    /// Whether `text` is only the first [`KEPT_BYTES`] of them.
    pub truncated: bool,
    /// SHA-256 of all bytes.
    pub sha256: Digest,
}

/// A stream that was read to its end.
pub(crate) struct Finished {
    pub(crate) captured: Captured,
    /// When its first bytes arrived, if any did.
    pub(crate) began: Option<MonotonicNs>,
    /// From there to the arrival of its last.
    pub(crate) took_ns: u64,
}

impl Captured {
    fn read(
        mut stream: impl Read,
        kept_bytes: usize,
        mut watch: Option<LineWatch>,
    ) -> io::Result<Finished> {
        let mut arrivals: Option<(MonotonicNs, MonotonicNs)> = None;
        let mut kept = Vec::new();
        let mut total_bytes = 0;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let chunk = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => &buffer[..length],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let now = MonotonicNs::now();
            arrivals = Some((arrivals.map_or(now, |(first, _)| first), now));
            if let Some(watch) = &mut watch {
                watch.take(chunk);
            }
            digest.update(chunk);
            let room = kept_bytes - kept.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            total_bytes += chunk.len() as u64;
        }
        let captured = Self {
            text: String::from_utf8_lossy(&kept).into_owned(),
            total_bytes,
            truncated: total_bytes > kept.len() as u64,
            sha256: Digest::from_bytes(&digest.finalize()),
        };
        Ok(Finished {
            captured,
            began: arrivals.map(|(first, _)| first),
            took_ns: arrivals.map_or(0, |(first, last)| last.since(first)),
        })
    }

    /// What a run that never started has written.
    pub(crate) fn nothing() -> Self {
        Self::of_text(String::new())
    }

    pub(crate) fn of_text(text: String) -> Self {
        Self {
            total_bytes: text.len() as u64,
            truncated: false,
            sha256: Digest::from_bytes(&Sha256::digest(&text)),
            text,
        }
    }
}

/// The reading end of a stream that is captured.
pub(crate) struct Capture(OwnedFd);

impl Capture {
    /// A capture, and the descriptor to write to.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        Ok((Self(reader), writer))
    }

    /// Reads in a thread of its own until nobody can write any more; `watch` sees it all.
    pub(crate) fn start(
        self,
        watch: Option<LineWatch>,
    ) -> io::Result<JoinHandle<io::Result<Finished>>> {
        thread::Builder::new()
            .name("capture".into())
            .spawn(move || Captured::read(File::from(self.0), KEPT_BYTES, watch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: impl Read, kept_bytes: usize) -> Captured {
        Captured::read(stream, kept_bytes, None).unwrap().captured
    }

    #[test]
    fn a_short_output_is_kept_whole() {
        let captured = read(&b"hello"[..], 5);
        assert_eq!(captured.text, "hello");
        assert_eq!(captured.total_bytes, 5);
        assert!(!captured.truncated);
    }

    #[test]
    fn of_a_long_output_the_beginning_is_kept_and_all_is_counted() {
        let bytes = vec![b'x'; 3 << 20];
        let captured = read(&bytes[..], 1 << 20);
        assert_eq!(captured.text.len(), 1 << 20);
        assert_eq!(captured.total_bytes, 3 << 20);
        assert!(captured.truncated);
    }

    #[test]
    fn outputs_that_differ_behind_what_is_kept_have_other_digests() {
        let (abc, abd) = (read(&b"abc"[..], 2), read(&b"abd"[..], 2));
        assert_eq!(abc.text, abd.text);
        assert_ne!(abc.sha256, abd.sha256);
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(read(&b"a\xff"[..], 9).text, "a\u{fffd}");
    }

    #[test]
    fn nothing_is_what_an_empty_stream_gives() {
        assert_eq!(read(io::empty(), 9), Captured::nothing());
    }
}
