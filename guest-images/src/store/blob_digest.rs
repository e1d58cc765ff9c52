use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// What is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no digest of the form sha256:HEX or sha512:HEX")]
pub struct InvalidDigest(String);

/// The digest of a blob, as manifests name blobs: the name of its algorithm, a colon and its
/// digits in lower case. These are all algorithms that are registered for it (OCI image
/// specification, descriptor.md, "Registered Algorithms").
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BlobDigest {
    /// 64 digits; nearly all that there are.
    Sha256([u8; 32]),
    /// 128 digits.
    Sha512([u8; 64]),
}

impl BlobDigest {
    /// The SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }

    /// The digest of these bytes by the algorithm of this one, to be compared with it.
    pub fn of_same_kind(self, bytes: &[u8]) -> Self {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.digest()
    }

    /// What makes another digest by the same algorithm.
    pub(super) fn hasher(self) -> BlobHasher {
        match self {
            Self::Sha256(_) => BlobHasher::Sha256(Sha256::new()),
            Self::Sha512(_) => BlobHasher::Sha512(Sha512::new()),
        }
    }

    /// As it is written before the colon.
    pub(super) fn algorithm(self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The digits, without the name of the algorithm.
    pub fn hex(&self) -> String {
        let bytes: &[u8] = match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As many digits as tell it from others in practice, for people to read.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Reads the 64 digits of a SHA-256 without the name of the algorithm, as docker writes IDs.
    pub fn from_hex(hex: &str) -> Option<Self> {
        bytes_of(hex).map(Self::Sha256)
    }

    /// A file's name for it: its digits, and the algorithm before them if it is not SHA-256.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Sha256(_) => self.hex(),
            Self::Sha512(_) => format!("{SHA512_FILE}{}", self.hex()),
        }
    }

    /// Reads what [`BlobDigest::file_name`] writes.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        match name.strip_prefix(SHA512_FILE) {
            Some(hex) => bytes_of(hex).map(Self::Sha512),
            None => Self::from_hex(name),
        }
    }
}

/// How a file's name for a SHA-512 begins.
const SHA512_FILE: &str = "sha512-";

/// The bytes that digits in lower case stand for, if there are as many.
fn bytes_of<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != 2 * N || !hex.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Makes a digest of what comes bit by bit.
#[derive(Clone)]
pub(super) enum BlobHasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl BlobHasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Of what has come so far.
    pub(super) fn digest(&self) -> BlobDigest {
        match self.clone() {
            Self::Sha256(hash) => BlobDigest::Sha256(hash.finalize().into()),
            Self::Sha512(hash) => BlobDigest::Sha512(hash.finalize().into()),
        }
    }
}

impl FromStr for BlobDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digest = match text.split_once(':') {
            Some(("sha256", hex)) => bytes_of(hex).map(Self::Sha256),
            Some(("sha512", hex)) => bytes_of(hex).map(Self::Sha512),
            _ => None,
        };
        digest.ok_or_else(|| InvalidDigest(text.to_owned()))
    }
}

impl TryFrom<String> for BlobDigest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<BlobDigest> for String {
    fn from(digest: BlobDigest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_in_lower_case_and_as_many_as_the_algorithm_has_are_a_digest() {
        let hex = "ab".repeat(32);
        for text in [format!("sha256:{hex}"), format!("sha512:{hex}{hex}")] {
            let digest: BlobDigest = text.parse().unwrap();
            assert_eq!(digest.to_string(), text);
        }
        for text in [
            "",
            "sha256:",
            "sha512:",
            &hex,
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha256:{hex}0"),
            &format!("sha512:{hex}"),
            &format!("sha256:{hex}{hex}"),
            &format!("sha384:{}", "ab".repeat(48)),
            &format!("SHA512:{hex}{hex}"),
            "sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
            &format!("sha256:+{}", &hex[1..]),
        ] {
            assert!(text.parse::<BlobDigest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_made_by_the_algorithm_of_the_one_that_it_is_compared_with() {
        // FIPS 180-2, appendices B.1 and C.1.
        for abc in [
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ] {
            let digest: BlobDigest = abc.parse().unwrap();
            assert_eq!(digest.of_same_kind(b"abc"), digest);
            assert_ne!(digest.of_same_kind(b"abd"), digest);
        }
    }

    #[test]
    fn each_digest_has_a_file_name_of_its_own() {
        let sha256 = BlobDigest::of(b"");
        let sha512 = BlobDigest::Sha512([0xab; 64]);
        for digest in [sha256, sha512] {
            let name = digest.file_name();
            assert_eq!(BlobDigest::from_file_name(&name), Some(digest));
        }
        assert_eq!(sha256.file_name(), sha256.hex());
        for name in [".", "..", "", "sha512-", &sha512.hex(), "sha512-../../x"] {
            assert_eq!(BlobDigest::from_file_name(name), None, "{name}");
        }
    }
}
