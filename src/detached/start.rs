use std::io::{self, PipeReader, PipeWriter, Read, Write};

/// What the keeper reports, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The command was executed; the instance's ID.
    Running(String),
    /// It was not, which has been said; what jaula exits with, never 0.
    Failed(u8),
}

impl Start {
    /// Tells the caller, who may be gone.
    pub fn report(&self, mut to: PipeWriter) -> io::Result<()> {
        let bytes = match self {
            Self::Running(id) => [&[0], id.as_bytes()].concat(),
            Self::Failed(code) => vec![*code],
        };
        // Less than `PIPE_BUF`, so that it comes whole (`pipe(7)`).
        to.write_all(&bytes)
    }

    /// Tells that it was not executed, and is the code with which the keeper ends, too.
    pub fn fail(code: u8, to: PipeWriter) -> u8 {
        // The caller may be gone.
        let _ = Self::Failed(code).report(to);
        code
    }

    /// Waits for it; `None` if the keeper died before.
    pub fn receive(mut from: PipeReader) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(match bytes.split_first() {
            None => None,
            Some((0, id)) => Some(Self::Running(String::from_utf8_lossy(id).into_owned())),
            Some((code, _)) => Some(Self::Failed(*code)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_is_received() {
        for start in [Start::Running("aa11".into()), Start::Failed(127)] {
            let (from, to) = io::pipe().unwrap();
            start.report(to).unwrap();
            assert_eq!(Start::receive(from).unwrap(), Some(start));
        }
        let (from, to) = io::pipe().unwrap();
        drop(to);
        assert_eq!(Start::receive(from).unwrap(), None);
    }
}
