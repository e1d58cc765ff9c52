//! The tool nft(8), which knows how rules are put into the kernel's words.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::error::Error;

/// Where it is looked for: the path of one who became root need not name the second one.
const NAMES: [&str; 2] = ["nft", "/usr/sbin/nft"];

/// nft, started but not told yet what to do: loading it and its libraries takes longer than what
/// it is told. Dropped, it does nothing.
pub(crate) struct Nft(Child);

impl Nft {
    pub(crate) fn start() -> Result<Self, Error> {
        let mut not_found = io::ErrorKind::NotFound.into();
        for name in NAMES {
            let mut command = Command::new(name);
            command
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => not_found = error,
                result => return result.map(Self).map_err(Error::Nft),
            }
        }
        Err(Error::Nft(not_found))
    }

    /// Tells it what to do, and waits until that is done: all of it or nothing.
    pub(crate) fn run(mut self, script: &str) -> Result<(), Error> {
        let written = match self.0.stdin.take() {
            Some(mut stdin) => stdin.write_all(script.as_bytes()),
            None => Ok(()),
        };
        // One that ended without reading says why.
        let mut said = Vec::new();
        if let Some(stderr) = &mut self.0.stderr {
            stderr.read_to_end(&mut said).map_err(Error::Nft)?;
        }
        if !self.0.wait().map_err(Error::Nft)?.success() {
            let said = String::from_utf8_lossy(&said);
            let first = said.lines().next().unwrap_or("it did not say why");
            return Err(Error::NftFailed(first.to_owned()));
        }
        written.map_err(Error::Nft)
    }
}

impl Drop for Nft {
    fn drop(&mut self) {
        // It ends when it has read all, and all may be nothing.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
