//! What is around the content of a state file: it tells a snapshot from another file, its version
//! from another version, and whether every bit of it is as it was written.
//!
//! ```text
//! offset  bytes
//!      0      8  MAGIC
//!      8      4  format version, little endian, as all numbers here
//!     12      8  length of the content
//!     20     32  SHA-256 of everything else: bytes 0 to 19, and the content
//!     52         content
//! ```

use sha2::{Digest as _, Sha256};

/// How the file begins.
pub const MAGIC: [u8; 8] = *b"JAULASNP";
/// What this jaula writes, and all that it reads. It changes with whatever changes the content,
/// the state of a device and what monitor and guest say to each other included.
pub const FORMAT_VERSION: u32 = 10;
/// Size of what is before the content.
pub const HEADER_BYTES: usize = 52;
/// The longest content that is written or read. A machine takes some tens of KiB.
pub const MAX_CONTENT_BYTES: usize = 16 << 20;

const VERSION_AT: usize = 8;
const LENGTH_AT: usize = 12;
const CHECKSUM_AT: usize = 20;

/// Why the content can't be had, in the order in which it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Another kind of file.
    #[error("this is no snapshot of jaula's")]
    NotASnapshot,
    /// Written by a jaula to come.
    #[error("the snapshot has format version {found}, which is newer than this jaula's {ours}")]
    Newer {
        /// The file's version.
        found: u32,
        /// [`FORMAT_VERSION`].
        ours: u32,
    },
    /// Written by a jaula of the past.
    #[error("the snapshot has format version {found}, which is older than this jaula's {ours}")]
    Older {
        /// The file's version.
        found: u32,
        /// [`FORMAT_VERSION`].
        ours: u32,
    },
    /// The end is missing.
    #[error("the snapshot's state is cut off: at least {missing_bytes} bytes are missing")]
    Truncated {
        /// As far as the file tells.
        missing_bytes: u64,
    },
    /// Some bit is not as it was written.
    #[error("the snapshot's state is damaged")]
    Damaged,
    /// There is more of it than a machine has.
    #[error("the state is longer than {MAX_CONTENT_BYTES} bytes")]
    TooLong,
}

impl EnvelopeError {
    /// What the user can do.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NotASnapshot => "name a directory that jaula made a snapshot in",
            Self::Newer { .. } => "use the jaula that made it, or make it again with this one",
            Self::Older { .. } => "make it again with this jaula",
            Self::Truncated { .. } | Self::Damaged => {
                "copy it again from where it is whole, or make it again"
            }
            Self::TooLong => "report this as a bug of jaula's",
        }
    }
}

/// Puts an envelope around `content`.
///
/// # Errors
///
/// [`EnvelopeError::TooLong`].
pub fn seal(content: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    if content.len() > MAX_CONTENT_BYTES {
        return Err(EnvelopeError::TooLong);
    }
    let mut sealed = Vec::with_capacity(HEADER_BYTES + content.len());
    sealed.extend(MAGIC);
    sealed.extend(FORMAT_VERSION.to_le_bytes());
    sealed.extend((content.len() as u64).to_le_bytes());
    let checksum = checksum(&sealed, content);
    sealed.extend(checksum);
    sealed.extend(content);
    Ok(sealed)
}

/// The content of what [`seal`] made.
///
/// # Errors
///
/// When `sealed` is anything else.
pub fn open(sealed: &[u8]) -> Result<&[u8], EnvelopeError> {
    let start = &sealed[..sealed.len().min(MAGIC.len())];
    if sealed.is_empty() || !MAGIC.starts_with(start) {
        return Err(EnvelopeError::NotASnapshot);
    }
    let header_cut_off = EnvelopeError::Truncated {
        missing_bytes: HEADER_BYTES.saturating_sub(sealed.len()) as u64,
    };
    // The version before the rest: what follows it may be another in another version.
    let version = number(sealed, VERSION_AT).ok_or(header_cut_off)?;
    let (found, ours) = (u32::from_le_bytes(version), FORMAT_VERSION);
    if found > ours {
        return Err(EnvelopeError::Newer { found, ours });
    }
    if found < ours {
        return Err(EnvelopeError::Older { found, ours });
    }
    let (header, content) = sealed
        .split_at_checked(HEADER_BYTES)
        .ok_or(header_cut_off)?;
    let length = number(header, LENGTH_AT).map(u64::from_le_bytes);
    let length = length
        .filter(|&length| length <= MAX_CONTENT_BYTES as u64)
        .ok_or(EnvelopeError::Damaged)?;
    let here = content.len() as u64;
    if here < length {
        return Err(EnvelopeError::Truncated {
            missing_bytes: length - here,
        });
    }
    let (before, written) = header.split_at(CHECKSUM_AT);
    if here > length || written != checksum(before, content) {
        return Err(EnvelopeError::Damaged);
    }
    Ok(content)
}

fn number<const BYTES: usize>(header: &[u8], at: usize) -> Option<[u8; BYTES]> {
    header.get(at..at + BYTES)?.try_into().ok()
}

fn checksum(before: &[u8], content: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(before)
        .chain_update(content)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content() -> Vec<u8> {
        (0..40_000_u32).map(|i| ((i * i) >> 7) as u8).collect()
    }

    fn flipped(sealed: &[u8], bit: usize) -> Vec<u8> {
        let mut flipped = sealed.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }

    #[test]
    fn what_was_sealed_is_opened() {
        for content in [vec![], content()] {
            assert_eq!(open(&seal(&content).unwrap()), Ok(&content[..]));
        }
    }

    #[test]
    fn each_bit_of_the_header_counts() {
        let sealed = seal(&content()).unwrap();
        for bit in 0..8 * HEADER_BYTES {
            let error = open(&flipped(&sealed, bit)).unwrap_err();
            let as_expected = match bit / 8 {
                0..8 => error == EnvelopeError::NotASnapshot,
                8..12 => matches!(
                    error,
                    EnvelopeError::Newer { .. } | EnvelopeError::Older { .. }
                ),
                12..20 => matches!(
                    error,
                    EnvelopeError::Truncated { .. } | EnvelopeError::Damaged
                ),
                _ => error == EnvelopeError::Damaged,
            };
            assert!(as_expected, "bit {bit}: {error}");
        }
    }

    #[test]
    fn bits_of_the_content_count() {
        let sealed = seal(&content()).unwrap();
        for bit in (8 * HEADER_BYTES..8 * sealed.len()).step_by(1009) {
            let flipped = flipped(&sealed, bit);
            assert_eq!(open(&flipped), Err(EnvelopeError::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_says_how_much_is_missing() {
        let sealed = seal(&content()).unwrap();
        let cuts = (1..=HEADER_BYTES).chain((4096..sealed.len()).step_by(4096));
        for cut in cuts.chain([sealed.len() - 1]) {
            let whole = if cut < HEADER_BYTES {
                HEADER_BYTES
            } else {
                sealed.len()
            };
            let missing_bytes = (whole - cut) as u64;
            let refused = open(&sealed[..cut]);
            let expected = EnvelopeError::Truncated { missing_bytes };
            assert_eq!(refused, Err(expected), "cut at {cut}");
        }
        assert_eq!(open(&[]), Err(EnvelopeError::NotASnapshot));
    }

    #[test]
    fn a_file_with_something_behind_its_end_is_damaged() {
        let mut sealed = seal(&content()).unwrap();
        sealed.push(0);
        assert_eq!(open(&sealed), Err(EnvelopeError::Damaged));
    }

    #[test]
    fn another_version_is_refused_before_its_content_is_looked_at() {
        let mut sealed = MAGIC.to_vec();
        sealed.extend((FORMAT_VERSION + 1).to_le_bytes());
        let expected = EnvelopeError::Newer {
            found: FORMAT_VERSION + 1,
            ours: FORMAT_VERSION,
        };
        assert_eq!(open(&sealed), Err(expected));
    }

    #[test]
    fn content_that_would_not_be_read_is_not_written() {
        let refused = seal(&vec![0; MAX_CONTENT_BYTES + 1]);
        assert_eq!(refused, Err(EnvelopeError::TooLong));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused(bytes: Vec<u8>, with_magic: bool) {
            let mut file = if with_magic { MAGIC.to_vec() } else { vec![] };
            file.extend(bytes);
            prop_assert!(open(&file).is_err());
        }
    }
}
