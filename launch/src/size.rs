use std::str::FromStr;

/// A number of bytes in docker's notation: by itself, or followed by `b`, `k`, `m`, `g` or `t`,
/// 1024 each, in any case and also as in `kb` and `kib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// What is none: why not, after what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSize(pub(crate) &'static str);

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(given: &str) -> Result<Self, InvalidSize> {
        let digits = given.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match given[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(InvalidSize("its unit is none of b, k, m, g, t")),
        };
        digits
            .parse::<u64>()
            .map_err(|_| InvalidSize("takes a whole number and a unit, as in 512m"))?
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or(InvalidSize("is more than can be addressed"))
    }
}
