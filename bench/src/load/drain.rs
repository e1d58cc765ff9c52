use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::pipe2;

use crate::ready::LineWatch;

/// How often the thread looks whether it is to end, in milliseconds.
const LOOK_EVERY_MS: u16 = 100;

/// Reads what many instances write, and keeps nothing of it. In one thread: two for each instance
/// would be a part of what an instance seems to cost.
pub(super) struct Drain {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    epoll: Epoll,
    streams: Mutex<HashMap<u64, Stream>>,
    stop: AtomicBool,
}

struct Stream {
    file: File,
    watch: Option<LineWatch>,
}

impl Drain {
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            streams: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("drain".into())
            .spawn(move || of_thread.read_all())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A pipe's writing end; `watch` sees what is written to it.
    pub fn stream(&self, watch: Option<LineWatch>) -> io::Result<OwnedFd> {
        let (reader, writer) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let key = reader.as_raw_fd() as u64;
        let stream = Stream {
            file: reader.into(),
            watch,
        };
        let mut streams = self.shared.lock();
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key);
        self.shared.epoll.add(&stream.file, event)?;
        streams.insert(key, stream);
        Ok(writer)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self) {
        let mut buffer = vec![0; 64 << 10];
        let mut events = [EpollEvent::empty(); 64];
        while !self.stop.load(Ordering::Relaxed) {
            // An interrupted wait is as good as one in which nothing came.
            let count = self
                .epoll
                .wait(&mut events, EpollTimeout::from(LOOK_EVERY_MS))
                .unwrap_or(0);
            let mut streams = self.lock();
            for event in &events[..count] {
                let key = event.data();
                let Some(stream) = streams.get_mut(&key) else {
                    continue;
                };
                match stream.file.read(&mut buffer) {
                    // With the descriptor it leaves the set.
                    Ok(0) | Err(_) => drop(streams.remove(&key)),
                    Ok(length) => {
                        if let Some(watch) = &mut stream.watch {
                            watch.take(&buffer[..length]);
                        }
                    }
                }
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::ready::Probe;

    #[test]
    fn many_streams_are_read_and_watched() {
        let drain = Drain::start().unwrap();
        let readiness = "log:^up$".parse().unwrap();
        let probe = Probe::new(&readiness);
        let mut writers: Vec<_> = (0..50)
            .map(|_| File::from(drain.stream(None).unwrap()))
            .collect();
        for writer in &mut writers {
            // More than a pipe holds.
            writer.write_all(&[b'x'; 100 << 10]).unwrap();
        }
        let mut watched = File::from(drain.stream(probe.line_watch()).unwrap());
        watched.write_all(b"not yet\nup\n").unwrap();
        while probe.ready().at().is_none() {
            thread::yield_now();
        }
        drop((writers, watched));
        while !drain.shared.lock().is_empty() {
            thread::yield_now();
        }
    }
}
