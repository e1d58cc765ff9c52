use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// Why a launcher failed: the cause, and what the user can do about it.
///
/// Each side keeps an error enum a module; this wraps the outermost one for those who can't
/// know which side they talk to. It displays as the cause does, and its `source` is the
/// cause's, so that no text is repeated along the chain.
#[derive(Debug)]
pub struct Error {
    cause: Box<dyn StdError + Send + Sync>,
    remedy: Option<Cow<'static, str>>,
}

impl Error {
    /// Wraps a side's own error.
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause: cause.into(),
            remedy: None,
        }
    }

    /// Wraps a side's own error with what the user can do about it, if anything is known.
    pub fn remedied<R: Into<Cow<'static, str>>>(
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
        remedy: Option<R>,
    ) -> Self {
        Self {
            remedy: remedy.map(Into::into),
            ..Self::new(cause)
        }
    }

    /// Adds what the user can do, an imperative phrase without a full stop.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

/// Displays an error with its causes, in one line.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a dyn StdError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Error::new(Outer(std::io::Error::other("inner"))).with_remedy("none");
        assert_eq!(Chain(&error).to_string(), "outer: inner");
    }
}
