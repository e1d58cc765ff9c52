use std::ffi::CStr;

use rustix::io::Errno;

/// Longest name of a file, in bytes (`NAME_MAX`).
const MAX_BYTES: usize = 255;

/// The name of something in a directory: one component, which leads neither up nor elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a>(&'a CStr);

impl<'a> Name<'a> {
    /// # Errors
    ///
    /// `EINVAL` for what is no name, `ENAMETOOLONG` for one that is too long.
    pub(super) fn new(name: &'a CStr) -> Result<Self, Errno> {
        match name.to_bytes() {
            b"" | b"." | b".." => Err(Errno::INVAL),
            bytes if bytes.contains(&b'/') => Err(Errno::INVAL),
            bytes if bytes.len() > MAX_BYTES => Err(Errno::NAMETOOLONG),
            _ => Ok(Self(name)),
        }
    }

    pub(super) fn as_c_str(self) -> &'a CStr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    #[test]
    fn a_name_is_one_component_that_leads_nowhere_else() {
        let long = "n".repeat(256);
        for (given, expected) in [
            ("a", Ok(())),
            ("...", Ok(())),
            (" ", Ok(())),
            (&long[1..], Ok(())),
            ("", Err(Errno::INVAL)),
            (".", Err(Errno::INVAL)),
            ("..", Err(Errno::INVAL)),
            ("a/b", Err(Errno::INVAL)),
            ("/", Err(Errno::INVAL)),
            ("../a", Err(Errno::INVAL)),
            (&long, Err(Errno::NAMETOOLONG)),
        ] {
            let given = CString::new(given).unwrap();
            assert_eq!(Name::new(&given).map(|_| ()), expected, "{given:?}");
        }
    }
}
