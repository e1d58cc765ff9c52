use std::ffi::{CStr, CString};
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the kernel takes as a string: most often text, and written as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// It is UTF-8.
    Utf8(String),
    /// It is not.
    Bytes(Vec<u8>),
}

impl Text {
    /// The bytes, without the one that ends a C string.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Utf8)
    }
}

impl From<&CStr> for Text {
    fn from(string: &CStr) -> Self {
        string.to_bytes().to_vec().into()
    }
}

impl From<&CString> for Text {
    fn from(string: &CString) -> Self {
        string.as_c_str().into()
    }
}

/// What is not UTF-8 is shown as U+FFFD.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_and_text_is_written_as_text() {
        for (bytes, json) in [
            (&b"a \"b\""[..], r#""a \"b\"""#),
            (b"", r#""""#),
            (b"\xff\n", "[255,10]"),
        ] {
            let text = Text::from(bytes.to_vec());
            assert_eq!(serde_json::to_string(&text).unwrap(), json);
            let read: Text = serde_json::from_str(json).unwrap();
            assert_eq!(read.as_bytes(), bytes);
        }
    }
}
