use std::io::{self, ErrorKind, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use guest_images::store::BlobDigest;
use oci_client::client::{BlobResponse, SizedStream};
use oci_client::errors::OciDistributionError;

use crate::connection::Connection;

/// How often a connection may break within one blob without anything having come meanwhile.
const MAX_BREAKS: u32 = 5;

/// A blob as it comes. Nothing is said of its contents: whoever reads it to its end checks its
/// digest.
pub(crate) struct Blob<'a> {
    connection: &'a Connection<'a>,
    what: String,
    digest: BlobDigest,
    stream: Option<SizedStream>,
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
            stream: None,
            chunk: Bytes::new(),
            offset: 0,
            again: 0,
            breaks: 0,
            has_ended: false,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let response = self.connection.open_blob(self.digest, self.offset);
        self.stream = Some(match response.map_err(|error| self.explain(error))? {
            BlobResponse::Partial(stream) => {
                self.again = 0;
                stream
            }
            BlobResponse::Full(stream) => {
                self.again = self.offset;
                stream
            }
        });
        Ok(())
    }

    fn explain(&self, error: OciDistributionError) -> io::Error {
        use OciDistributionError::{RegistryError, ServerError, UnauthorizedError};
        // What a registry says in its own words may be anything, and of any length.
        let why = match error {
            ServerError { code, .. } => format!("it answers {code}"),
            RegistryError { envelope, .. } => match envelope.errors.first() {
                Some(first) => format!("it answers {:?}", first.code),
                None => "it does not say why not".to_owned(),
            },
            UnauthorizedError { .. } => "it refuses to give it".to_owned(),
            other => other.to_string(),
        };
        let registry = self.connection.registry();
        io::Error::other(format!("{} from {registry}: {why}", self.what))
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    self.open()?;
                    continue;
                }
            };
            match self.connection.wait(stream.next()) {
                Some(Ok(mut bytes)) => {
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
                // The stream must not be asked again.
                None => {
                    self.has_ended = true;
                    return Ok(Bytes::new());
                }
                // The client has compared the digest of all with what was asked for.
                Some(Err(error)) if is_wrong_digest(&error) => return Err(error),
                Some(Err(error)) => {
                    self.breaks += 1;
                    if self.breaks > MAX_BREAKS {
                        return Err(error);
                    }
                    self.stream = None;
                }
            }
        }
    }
}

fn is_wrong_digest(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<oci_client::errors::DigestError>())
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
