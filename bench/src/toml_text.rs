//! What is wrong in a user's TOML, and where.

/// It is not TOML, has a key that means nothing, or lacks one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TomlError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong, in one line.
    pub message: String,
}

/// Reads what a user wrote.
///
/// # Errors
///
/// When it is not what it should be.
pub fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| TomlError {
        line: error.span().map_or(1, |span| {
            let before = text.get(..span.start).unwrap_or_default();
            before.matches('\n').count() + 1
        }),
        message: error.message().replace('\n', "; "),
    })
}
