//! The records of a pax header: `LENGTH KEY=VALUE\n` (POSIX.1-2017, pax, "pax Extended Header").

use rustix::fs::Timespec;

use super::sparse;

/// Records that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pax header is not well-formed")]
pub struct InvalidPax;

impl From<sparse::SparseError> for InvalidPax {
    fn from(_: sparse::SparseError) -> Self {
        Self
    }
}

/// What the records say of the next entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timespec>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// If the data is only the parts of the file that are not zero.
    pub(super) sparse: Option<sparse::Records>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

pub(super) fn parse(mut records: &[u8]) -> Result<Pax, InvalidPax> {
    let mut pax = Pax::default();
    let mut real_name = None;
    while !records.is_empty() {
        let (record, rest) = split(records).ok_or(InvalidPax)?;
        records = rest;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record.split_at(equals.ok_or(InvalidPax)?);
        let value = &value[1..];
        let number = || -> Result<Option<u64>, InvalidPax> {
            // An empty value takes back what a global header said.
            if value.is_empty() {
                return Ok(None);
            }
            let text = str::from_utf8(value).map_err(|_| InvalidPax)?;
            text.parse().map(Some).map_err(|_| InvalidPax)
        };
        let text = || (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => pax.path = text(),
            b"linkpath" => pax.link = text(),
            b"size" => pax.size = number()?,
            b"uid" => pax.uid = number()?,
            b"gid" => pax.gid = number()?,
            b"mtime" => {
                pax.mtime = if value.is_empty() {
                    None
                } else {
                    Some(time(value)?)
                }
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    pax.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(what) = key.strip_prefix(SPARSE) {
                    let sparse = pax.sparse.get_or_insert_default();
                    match what {
                        b"major" => sparse.major = number()?.unwrap_or(0),
                        b"minor" => sparse.minor = number()?.unwrap_or(0),
                        b"size" | b"realsize" => sparse.size = number()?,
                        // The entry's own is made up, as `./GNUSparseFile.123/NAME`.
                        b"name" => real_name = text(),
                        b"offset" | b"numbytes" => {
                            sparse.push(number()?.ok_or(InvalidPax)?)?;
                        }
                        b"map" => {
                            for number in value.split(|byte| *byte == b',') {
                                let text = str::from_utf8(number).map_err(|_| InvalidPax)?;
                                sparse.push(text.parse().map_err(|_| InvalidPax)?)?;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    pax.path = real_name.or(pax.path);
    let has_zero = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|it| it.contains(&0));
    if has_zero(&pax.path) || has_zero(&pax.link) {
        return Err(InvalidPax);
    }
    Ok(pax)
}

/// The first record, without its length and its line feed, and what comes after it.
fn split(records: &[u8]) -> Option<(&[u8], &[u8])> {
    // Twenty digits are more than any length has.
    let blank = records.iter().take(21).position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&records[..blank]).ok()?.parse().ok()?;
    let record = records.get(blank + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    Some((record, &records[length..]))
}

/// Seconds since 1970, with any number of decimals, of which nine count.
fn time(text: &[u8]) -> Result<Timespec, InvalidPax> {
    let text = str::from_utf8(text).map_err(|_| InvalidPax)?;
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let mut tv_sec: i64 = seconds.parse().map_err(|_| InvalidPax)?;
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidPax);
    }
    let mut tv_nsec = 0;
    for at in 0..9 {
        let digit = decimals
            .as_bytes()
            .get(at)
            .map_or(0, |digit| i64::from(digit - b'0'));
        tv_nsec = 10 * tv_nsec + digit;
    }
    if is_negative && tv_nsec > 0 {
        tv_sec = tv_sec.checked_sub(1).ok_or(InvalidPax)?;
        tv_nsec = 1_000_000_000 - tv_nsec;
    }
    Ok(Timespec { tv_sec, tv_nsec })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length += 1;
        }
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend(value);
        record.push(b'\n');
        record
    }

    #[test]
    fn a_value_may_hold_any_byte() {
        let value = b"\x01\n\0=\xff 7 path=x\n";
        let pax = parse(&record("SCHILY.xattr.security.capability", value)).unwrap();
        assert_eq!(
            pax.xattrs,
            [(b"security.capability".to_vec(), value.to_vec())]
        );
        assert_eq!(pax.path, None);
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        for (text, tv_sec, tv_nsec) in [
            ("1", 1, 0),
            ("1.5", 1, 500_000_000),
            ("0.0000000019", 0, 1),
            ("-1.25", -2, 750_000_000),
            ("-0.25", -1, 750_000_000),
        ] {
            let time = time(text.as_bytes());
            assert_eq!(time, Ok(Timespec { tv_sec, tv_nsec }), "{text}");
        }
        for text in [
            "",
            "a",
            "1.x",
            "1.-1",
            "99999999999999999999",
            "-9223372036854775808.1",
        ] {
            assert_eq!(time(text.as_bytes()), Err(InvalidPax), "{text}");
        }
    }

    #[test]
    fn records_that_are_none_are_refused() {
        for records in [
            &b"x"[..],
            b"5 a=b\n",
            b"7 a=b\n",
            b"99999999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
            b"0 a=b\n",
            b"1 a=b\n",
            b"-6 a=b\n",
            b"6 abc\n",
            b"10 size=-1\n",
            b"11 path=a\0b\n",
        ] {
            assert_eq!(parse(records), Err(InvalidPax), "{records:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, text in "[0-9]{1,3} [a-z.=\n0-9-]{0,40}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read(key in "[a-z.]{1,30}", value: Vec<u8>) {
            let key = format!("SCHILY.xattr.{key}");
            let pax = parse(&record(&key, &value)).unwrap();
            prop_assert_eq!(&pax.xattrs[0].1, &value);
        }
    }
}
