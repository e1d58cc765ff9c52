use std::ffi::CStr;
use std::fmt::{self, Write};

use crate::syscall::{Errno, Result};

/// A C string that is put together without an allocation.
pub(crate) struct Text<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: usize,
}

impl<const BYTES: usize> Text<BYTES> {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            length: 0,
        }
    }

    /// Appends; `ENAMETOOLONG` if there is no room.
    pub(crate) fn push(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.write_fmt(text).map_err(|_| Errno(libc::ENAMETOOLONG))
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const BYTES: usize> Write for Text<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        // One byte stays a NUL.
        let room = self.bytes[..BYTES - 1].get_mut(self.length..end);
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_appended_and_what_does_not_is_refused() {
        let mut text = Text::<6>::new();
        text.push(format_args!("a{}", 12)).unwrap();
        assert_eq!(
            text.push(format_args!("345")),
            Err(Errno(libc::ENAMETOOLONG))
        );
        text.push(format_args!("34")).unwrap();
        assert_eq!(text.as_c_str(), c"a1234");
    }
}
