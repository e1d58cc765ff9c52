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
    /// Who asks without this token is sent to the server for tokens.
    ForToken(&'static str, Vec<u8>),
    /// The next one of these each time, and then the last one again.
    InTurn(Vec<Answer>),
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
        self.answer_at(&format!("/v2/app/{path}"), answer);
    }

    fn answer_at(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Sends everybody to a server for tokens, which says this.
    pub fn tokens(&self, answer: Answer) {
        self.answer_at("/v2/", Answer::ForToken("that nobody has", Vec::new()));
        self.answer_at("/token", answer);
    }

    /// Has a blob, and returns how a manifest refers to it.
    pub fn blob(&self, bytes: &[u8]) -> String {
        let digest = BlobDigest::of(bytes);
        self.answer(&format!("blobs/{digest}"), Answer::Bytes(bytes.to_vec()));
        descriptor(bytes)
    }

    /// Has an image `app:1` of one layer, which it answers with `layer`.
    pub fn image(&self, tar: &[u8], layer: Answer) {
        self.image_by(BlobDigest::of(tar), tar, layer);
    }

    /// The same, with a layer that goes by this digest.
    pub fn image_by(&self, digest: BlobDigest, tar: &[u8], layer: Answer) {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#,
        );
        let config = self.blob(config.as_bytes());
        self.answer(&format!("blobs/{digest}"), layer);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            descriptor_by(digest, tar)
        );
        self.answer("manifests/1", Answer::Bytes(manifest.into()));
    }
}

pub fn descriptor(bytes: &[u8]) -> String {
    descriptor_by(BlobDigest::of(bytes), bytes)
}

fn descriptor_by(digest: BlobDigest, bytes: &[u8]) -> String {
    let size = bytes.len();
    format!(r#"{{"mediaType":"m","size":{size},"digest":"{digest}"}}"#)
}

fn serve(stream: TcpStream, answers: &Answers, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let (mut offset, mut token, mut host) = (None, None, String::new());
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let line = line.to_ascii_lowercase();
        if let Some(given) = line.strip_prefix("authorization: bearer ") {
            token = Some(given.to_owned());
        }
        if let Some(given) = line.strip_prefix("host: ") {
            host = given.to_owned();
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            offset = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(path.clone());
    let answer = match answers
        .lock()
        .unwrap()
        .get_mut(path.split('?').next().unwrap())
    {
        Some(Answer::InTurn(turns)) if turns.len() > 1 => Some(turns.remove(0)),
        Some(Answer::InTurn(turns)) => turns.first().cloned(),
        other => other.cloned(),
    };
    let mut whole = |bytes: &[u8], sent: usize| {
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        )?;
        writer.write_all(&bytes[..sent])
    };
    match answer {
        Some(Answer::ForToken(wanted, _)) if token.as_deref() != Some(wanted) => write!(
            writer,
            "HTTP/1.1 401 x\r\nContent-Length: 0\r\nConnection: close\r\n\
             WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n\r\n"
        ),
        Some(Answer::Bytes(bytes) | Answer::ForToken(_, bytes)) => whole(&bytes, bytes.len()),
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
        None | Some(Answer::InTurn(_)) => write!(
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
