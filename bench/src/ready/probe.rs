use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use launch::{Instance, MonotonicNs};
use regex::bytes::Regex;

use super::Readiness;

/// How long is waited between two questions at least: the figure is at most this much too long.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// And so many times as long as a question took, up to this: a guest whose kernel is emulated needs
/// milliseconds to refuse one, and has other things to do.
const PAUSE: u32 = 9;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long is waited for a connection, and at a time for an answer: where nobody listens yet a question
/// is lost, and asked again.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long one who has taken the connection may take to answer: a slow one that is asked again meanwhile
/// has ever more to do.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// The longest line that is looked at, in bytes; of a longer one, its beginning.
const LONGEST_LINE: usize = 64 << 10;

/// The moment when a workload was ready: the first one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready(Arc<AtomicU64>);

impl Ready {
    fn is_now(&self) {
        let now = MonotonicNs::now().0;
        // That it is set already means that it was ready before.
        let _ = self
            .0
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// `None` if it is not, so far.
    pub(crate) fn at(&self) -> Option<MonotonicNs> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            ns => Some(MonotonicNs(ns)),
        }
    }
}

/// Looks for a line in what a workload writes.
pub(crate) struct LineWatch {
    pattern: Regex,
    line: Vec<u8>,
    ready: Ready,
}

impl LineWatch {
    /// Takes what was written.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LONGEST_LINE - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < part.len() {
                if self.pattern.is_match(&self.line) {
                    self.ready.is_now();
                }
                self.line.clear();
            }
        }
    }
}

/// Finds out when a workload is ready.
pub(crate) struct Probe<'a> {
    readiness: &'a Readiness,
    ready: Ready,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(readiness: &'a Readiness) -> Self {
        Self {
            readiness,
            ready: Ready::default(),
        }
    }

    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What looks at a stream of the workload's, if that is how it shows.
    pub(crate) fn line_watch(&self) -> Option<LineWatch> {
        match self.readiness {
            Readiness::Line(pattern) => Some(LineWatch {
                pattern: pattern.clone(),
                line: Vec::new(),
                ready: self.ready.clone(),
            }),
            _ => None,
        }
    }

    /// Asks this instance until there is an answer, if that is how it shows, and there is somewhere to
    /// ask.
    pub(crate) fn ask(&self, instance: &dyn Instance) -> io::Result<Option<Asking>> {
        match instance.endpoint() {
            Some(endpoint) => self.ask_at(endpoint.address),
            None => Ok(None),
        }
    }

    fn ask_at(&self, address: IpAddr) -> io::Result<Option<Asking>> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, ready) = (Arc::clone(&stop), self.ready.clone());
        let question: Box<dyn Fn() -> bool + Send> = match self.readiness {
            Readiness::Line(_) => return Ok(None),
            Readiness::Tcp(port) => {
                let address = SocketAddr::new(address, *port);
                Box::new(move || TcpStream::connect_timeout(&address, PATIENCE).is_ok())
            }
            Readiness::Http { port, path } => {
                let address = SocketAddr::new(address, *port);
                let path = path.clone();
                let stopped = Arc::clone(&stop);
                Box::new(move || is_answered(address, &path, &stopped).unwrap_or(false))
            }
        };
        let asking = thread::Builder::new().name("ready".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let asked_at = Instant::now();
                if question() {
                    return ready.is_now();
                }
                let pause = (PAUSE * asked_at.elapsed()).min(LONGEST_PAUSE);
                thread::sleep(pause.max(ASK_EVERY));
            }
        })?;
        Ok(Some(Asking {
            stop,
            thread: Some(asking),
        }))
    }
}

/// A thread that asks; it ends with this.
pub(crate) struct Asking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// Whether a `GET` of this path is answered with 200: only the first line of the answer is read. Gives up
/// when it is `stopped`.
fn is_answered(address: SocketAddr, path: &str, stopped: &AtomicBool) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // "HTTP/1.1 200"
    let mut status = [0; 12];
    let mut read = 0;
    let asked_at = Instant::now();
    while read < status.len() {
        match stream.read(&mut status[read..]) {
            Ok(0) => return Ok(false),
            Ok(length) => read += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stopped.load(Ordering::Relaxed) || asked_at.elapsed() > ANSWERED_WITHIN {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(status.starts_with(b"HTTP/1.") && status.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn watched(pattern: &str, parts: &[&[u8]]) -> bool {
        let readiness = format!("log:{pattern}").parse().unwrap();
        let probe = Probe::new(&readiness);
        let mut watch = probe.line_watch().unwrap();
        for part in parts {
            watch.take(part);
        }
        probe.ready().at().is_some()
    }

    #[test]
    fn a_line_is_looked_at_when_it_is_whole() {
        assert!(watched("^up$", &[b"not yet\nu", b"p\n"]));
        assert!(!watched("^up$", &[b"not yet\nup"]));
        assert!(!watched("^up$", &[b"upper\n", b"sup\n"]));
        let long = [b'x'; 100 << 10];
        assert!(watched("^up$", &[&long, &long, b"\nup\n"]));
    }

    fn answered(answer: &'static [u8]) -> bool {
        answered_after(Duration::ZERO, answer)
    }

    fn answered_after(delay: Duration, answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 12];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"GET /a HTTP/");
            thread::sleep(delay);
            stream.write_all(answer).unwrap();
        });
        let stopped = AtomicBool::new(false);
        let is_answered = is_answered(address, "/a", &stopped).unwrap_or(false);
        server.join().unwrap();
        is_answered
    }

    #[test]
    fn only_status_200_is_an_answer() {
        assert!(answered(b"HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!answered(b"HTTP/1.1 503 Wait\r\n\r\n"));
        assert!(!answered(b"SSH-2.0-x\r\n 200"));
        assert!(!answered(b"HTTP"));
    }

    #[test]
    fn a_slow_answer_is_waited_for_unless_nobody_waits_any_more() {
        assert!(answered_after(2 * PATIENCE, b"HTTP/1.0 200 OK\r\n\r\n"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stopped = AtomicBool::new(true);
        let address = listener.local_addr().unwrap();
        assert!(is_answered(address, "/a", &stopped).is_err());
    }

    #[test]
    fn it_is_asked_until_somebody_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let readiness = Readiness::Tcp(port);
        let probe = Probe::new(&readiness);
        let _asking = probe.ask_at(Ipv4Addr::LOCALHOST.into()).unwrap();
        while probe.ready().at().is_none() {
            thread::yield_now();
        }
    }
}
