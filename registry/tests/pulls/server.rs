//! A registry of a few answers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use guest_images::store::BlobDigest;

/// What is answered to a `GET`.
#[derive(Clone)]
pub enum Answer {
    /// This, as a registry would.
    Bytes(Vec<u8>),
    /// Only the first bytes of this, each time, whatever length was promised.
    Truncated(Vec<u8>, usize),
    /// The first time only the first bytes of this, and later a part of it, if it is asked for.
    Broken(Vec<u8>, usize),
    /// The same, from a registry that can't give a part.
    BrokenWithoutRanges(Vec<u8>, usize),
    /// Without an end.
    Endless,
    /// An error of this number, in these words.
    Error(u16, &'static str),
    /// An error of this number, in words without an end.
    EndlessError(u16),
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

/// It ends with the test's process.
pub struct Server {
    pub address: String,
    answers: Answers,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = Answers::default();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (known, log) = (answers.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (known, log) = (known.clone(), log.clone());
                // Whoever hangs up in between is not waited for.
                thread::spawn(move || drop(serve(stream.unwrap(), &known, &log)));
            }
        });
        Self {
            address,
            answers,
            requests,
        }
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(format!("/v2/app/{path}"), answer);
    }

    /// Has a blob, and returns how a manifest refers to it.
    pub fn blob(&self, bytes: &[u8]) -> String {
        let digest = BlobDigest::of(bytes);
        self.answer(&format!("blobs/{digest}"), Answer::Bytes(bytes.to_vec()));
        descriptor(bytes)
    }

    /// Has an image `app:1` of one layer, which it answers with `layer`.
    pub fn image(&self, tar: &[u8], layer: Answer) {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            BlobDigest::of(tar)
        );
        let config = self.blob(config.as_bytes());
        self.answer(&format!("blobs/{}", BlobDigest::of(tar)), layer);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            descriptor(tar)
        );
        self.answer("manifests/1", Answer::Bytes(manifest.into()));
    }
}

pub fn descriptor(bytes: &[u8]) -> String {
    format!(
        r#"{{"mediaType":"m","size":{},"digest":"{}"}}"#,
        bytes.len(),
        BlobDigest::of(bytes)
    )
}

fn serve(stream: TcpStream, answers: &Answers, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut offset = None;
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            offset = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(path.clone());
    let answer = answers.lock().unwrap().get(&path).cloned();
    let mut whole = |bytes: &[u8], sent: usize| {
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        )?;
        writer.write_all(&bytes[..sent])
    };
    match answer {
        Some(Answer::Bytes(bytes)) => whole(&bytes, bytes.len()),
        Some(Answer::Truncated(bytes, sent)) => whole(&bytes, sent),
        Some(Answer::Broken(bytes, sent)) => match offset {
            None => whole(&bytes, sent),
            Some(offset) => {
                let rest = &bytes[offset..];
                write!(
                    writer,
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    rest.len()
                )?;
                writer.write_all(rest)
            }
        },
        Some(Answer::BrokenWithoutRanges(bytes, sent)) => match offset {
            None => whole(&bytes, sent),
            Some(_) => whole(&bytes, bytes.len()),
        },
        Some(Answer::Endless) => {
            write!(writer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            blanks(writer)
        }
        Some(Answer::EndlessError(code)) => {
            write!(writer, "HTTP/1.1 {code} x\r\nConnection: close\r\n\r\n")?;
            blanks(writer)
        }
        Some(Answer::Error(code, words)) => write!(
            writer,
            "HTTP/1.1 {code} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{words}",
            words.len()
        ),
        None => write!(
            writer,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    }
}

/// Until whoever reads them has hung up.
fn blanks(mut to: TcpStream) -> std::io::Result<()> {
    loop {
        to.write_all(&[b' '; 1 << 16])?;
    }
}
