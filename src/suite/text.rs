use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// More than anybody writes by hand.
const MOST_BYTES: u64 = 1 << 20;

/// All of a small file that a user wrote. One that does not end is no reason to run out of memory.
pub fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    let length = file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > MOST_BYTES {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            "it has more than 1 MiB",
        ));
    }
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 1 MiB");
    }
}
