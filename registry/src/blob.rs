use std::io::{self, ErrorKind, Read};

use bytes::{Buf, Bytes};
use guest_images::store::BlobDigest;
use launch::Chain;
use reqwest::{Response, StatusCode};

use crate::connection::Connection;
use crate::http::Fault;

/// How often a connection may break within one blob without anything having come meanwhile.
const MAX_BREAKS: u32 = 5;

/// A blob as it comes. Nothing is said of its contents: whoever reads it to its end checks its
/// digest.
pub(crate) struct Blob<'a> {
    connection: &'a Connection<'a>,
    what: String,
    digest: BlobDigest,
    answer: Option<Response>,
    /// What came and was not read yet.
    chunk: Bytes,
    /// How much has come so far.
    offset: u64,
    /// Bytes that came before, and come again.
    again: u64,
    breaks: u32,
    has_ended: bool,
}

impl<'a> Blob<'a> {
    /// Asks for it when it is first read.
    pub(crate) fn new(connection: &'a Connection<'a>, what: String, digest: BlobDigest) -> Self {
        Self {
            connection,
            what,
            digest,
            answer: None,
            chunk: Bytes::new(),
            offset: 0,
            again: 0,
            breaks: 0,
            has_ended: false,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let answer = self.connection.open_blob(self.digest, self.offset);
        let answer = answer.map_err(|fault| {
            // What a registry says in its own words may be anything.
            let why = match fault {
                Fault::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    "it refuses to give it".to_owned()
                }
                other => Chain(&other).to_string(),
            };
            let registry = self.connection.registry();
            io::Error::other(format!("{} from {registry}: {why}", self.what))
        })?;
        self.again = match answer.status() {
            StatusCode::PARTIAL_CONTENT => 0,
            _ => self.offset,
        };
        self.answer = Some(answer);
        Ok(())
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        loop {
            let answer = match &mut self.answer {
                Some(answer) => answer,
                None => {
                    self.open()?;
                    continue;
                }
            };
            match self.connection.wait(answer.chunk()) {
                Ok(Some(mut bytes)) => {
                    let skipped = self.again.min(bytes.len() as u64);
                    self.again -= skipped;
                    // At most the length, so it fits.
                    bytes.advance(skipped as usize);
                    if bytes.is_empty() {
                        continue;
                    }
                    self.offset += bytes.len() as u64;
                    self.breaks = 0;
                    return Ok(bytes);
                }
                Ok(None) => {
                    self.has_ended = true;
                    return Ok(Bytes::new());
                }
                Err(error) => {
                    self.breaks += 1;
                    if self.breaks > MAX_BREAKS {
                        return Err(io::Error::other(error));
                    }
                    self.answer = None;
                }
            }
        }
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || (self.has_ended && self.chunk.is_empty()) {
            return Ok(0);
        }
        if self.chunk.is_empty() {
            self.chunk = match self.next() {
                Ok(chunk) => chunk,
                // A reader would try that one again for ever.
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    return Err(io::Error::other(error));
                }
                Err(error) => return Err(error),
            };
        }
        let length = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
