use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use host::instances::log::{Lines, LogWriter, Stream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Logs what a command says, in a thread of its own.
pub(super) struct Logging {
    /// Closed when the command and all that it started have ended.
    stop: PipeWriter,
    thread: JoinHandle<io::Result<()>>,
}

impl Logging {
    pub fn start(stdout: PipeReader, stderr: PipeReader, log: LogWriter) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let thread = thread::Builder::new()
            .name("log".into())
            .spawn(move || copy(stdout, stderr, &stopped, log))?;
        Ok(Self { stop, thread })
    }

    /// Waits until all is logged that was said. To be called when nobody is left to say more:
    /// somebody elsewhere who was given the other end of a pipe is not waited for.
    pub fn finish(self) -> io::Result<()> {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }
}

struct Source {
    pipe: Option<PipeReader>,
    lines: Lines,
}

fn copy(
    stdout: PipeReader,
    stderr: PipeReader,
    stopped: &PipeReader,
    mut log: LogWriter,
) -> io::Result<()> {
    let mut sources =
        [(stdout, Stream::Stdout), (stderr, Stream::Stderr)].map(|(pipe, stream)| Source {
            pipe: Some(pipe),
            lines: Lines::new(stream),
        });
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let [stdout, stderr] = &sources;
        let readable = readable([stdout.pipe.as_ref(), stderr.pipe.as_ref(), Some(stopped)])?;
        let mut read_any = false;
        for (source, is_readable) in sources.iter_mut().zip(readable) {
            let Some(pipe) = source.pipe.as_mut().filter(|_| is_readable) else {
                continue;
            };
            read_any = true;
            match pipe.read(&mut chunk)? {
                0 => source.pipe = None,
                length => {
                    let said = chunk.get(..length).unwrap_or_default();
                    source.lines.push(said, &mut log);
                }
            }
        }
        if !read_any && readable[2] {
            break;
        }
    }
    for source in &mut sources {
        source.lines.finish(&mut log);
    }
    Ok(())
}

/// Waits until one of them can be read, or is at its end.
fn readable(pipes: [Option<&PipeReader>; 3]) -> io::Result<[bool; 3]> {
    let mut polled: Vec<_> = pipes
        .iter()
        .flatten()
        .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
        .collect();
    while let Err(errno) = poll(&mut polled, PollTimeout::NONE) {
        if errno != Errno::EINTR {
            return Err(errno.into());
        }
    }
    let mut polled = polled.iter();
    Ok(pipes.map(|pipe| {
        pipe.is_some()
            && polled
                .next()
                .is_some_and(|polled| polled.any() == Some(true))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use host::instances::log::LogReader;

    use super::*;

    #[test]
    fn all_that_was_said_is_logged_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogWriter::create(dir.path()).unwrap();
        let ((out, mut to_out), (err, mut to_err)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let logging = Logging::start(out, err, log).unwrap();
        to_out.write_all(b"a\nb").unwrap();
        to_err.write_all(b"c\n").unwrap();
        drop(to_err);
        // The other pipe stays open.
        logging.finish().unwrap();
        let mut reader = LogReader::open(dir.path()).unwrap().unwrap();
        let mut said = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            said.push((entry.stream == Stream::Stdout, entry.log.into_owned()));
        }
        said.sort();
        let expected = [(false, "c\n"), (true, "a\n"), (true, "b")];
        assert_eq!(said, expected.map(|(out, text)| (out, text.to_owned())));
        drop(to_out);
    }
}
