use std::ffi::CStr;
use std::ops::Range;

use crate::syscall::{Errno, Result};

/// As long as a path can be that the kernel takes, with its NUL.
pub(crate) const PATH_MAX: usize = libc::PATH_MAX as usize;

/// A path that can be changed without an allocation. It is passed by reference: who calls may have
/// little room on its stack.
pub(crate) struct PathBytes {
    /// All from `length` on is NUL, and at least one byte.
    bytes: [u8; PATH_MAX],
    length: usize,
}

impl PathBytes {
    /// # Errors
    ///
    /// `ENAMETOOLONG` if there is no room.
    pub(crate) fn new(path: &[u8]) -> Result<Self> {
        let mut new = Self {
            bytes: [0; PATH_MAX],
            length: 0,
        };
        new.replace(0..0, path)?;
        Ok(new)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Does something with a part of it.
    pub(crate) fn with_part<T>(&mut self, part: Range<usize>, act: impl FnOnce(&CStr) -> T) -> T {
        let after = std::mem::take(&mut self.bytes[part.end]);
        let text = CStr::from_bytes_until_nul(&self.bytes[part.start..]);
        let result = act(text.unwrap_or_default());
        self.bytes[part.end] = after;
        result
    }

    /// Puts something else in the place of a part.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` if there is no room; then all is as it was.
    pub(crate) fn replace(&mut self, part: Range<usize>, with: &[u8]) -> Result<()> {
        let end = part.start + with.len();
        let length = end + (self.length - part.end);
        if length >= PATH_MAX {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        self.bytes.copy_within(part.end..self.length, end);
        self.bytes[part.start..end].copy_from_slice(with);
        self.bytes[length..].fill(0);
        self.length = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_replaced_while_there_is_room() {
        let mut path = PathBytes::new(b"/a/b/c").unwrap();
        path.replace(3..4, b"long/er").unwrap();
        assert_eq!(path.as_bytes(), b"/a/long/er/c");
        path.replace(0..10, b"/x").unwrap();
        assert_eq!(path.as_bytes(), b"/x/c");
        assert_eq!(path.with_part(0..4, CStr::to_owned).as_c_str(), c"/x/c");
        let too_long = path.replace(0..1, &[b'/'; PATH_MAX - 3]);
        assert_eq!(too_long, Err(Errno(libc::ENAMETOOLONG)));
        assert_eq!(path.as_bytes(), b"/x/c");
        path.replace(0..1, &[b'/'; PATH_MAX - 4]).unwrap();
        assert_eq!(path.as_bytes().len(), PATH_MAX - 1);
    }

    #[test]
    fn a_part_is_a_c_string_and_nothing_is_changed() {
        let mut path = PathBytes::new(b"/ab/c").unwrap();
        let parts = [0..0, 0..1, 1..3, 0..3, 4..5, 5..5];
        let parts = parts.map(|part| path.with_part(part, |part| part.to_owned()));
        let expected = [c"", c"/", c"ab", c"/ab", c"c", c""].map(CStr::to_owned);
        assert_eq!(parts, expected);
        assert_eq!(path.as_bytes(), b"/ab/c");
    }
}
