//! Dates for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the year 9999, the last that RFC 3339 can write.
const LAST_DATE_UNIX_SECONDS: u64 = 253_402_300_799;

/// In UTC. A file may say any number; one that is no date is told as it is.
pub fn utc(unix_seconds: u64) -> String {
    if unix_seconds > LAST_DATE_UNIX_SECONDS {
        return format!("{unix_seconds} s after 1970");
    }
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// To the nanosecond, from nanoseconds since 1970.
pub fn utc_ns(unix_ns: u64) -> String {
    // Until the year 2554.
    let time = UNIX_EPOCH + Duration::from_nanos(unix_ns);
    humantime::format_rfc3339_nanos(time).to_string()
}

/// Reads a moment as others write it: in UTC, or with how far they are from it (RFC 3339, section
/// 5.6).
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    if text.ends_with(['Z', 'z']) {
        return humantime::parse_rfc3339(&text.to_ascii_uppercase()).ok();
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let two_digits = |digits: &str| match digits.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => digits.parse::<u64>().ok(),
        _ => None,
    };
    let minutes = 60 * two_digits(hours)? + two_digits(minutes)?;
    let offset_seconds = Duration::from_secs(60 * minutes);
    match offset.as_bytes()[0] {
        b'+' => local.checked_sub(offset_seconds),
        b'-' => local.checked_add(offset_seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_wherever_it_is_written() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_767_355_200);
        for (text, expected) in [
            ("2026-01-02T12:00:00Z", Some(noon)),
            ("2026-01-02T14:30:00+02:30", Some(noon)),
            ("2026-01-02T04:00:00-08:00", Some(noon)),
            (
                "2026-01-02T13:00:00.5+01:00",
                Some(noon + Duration::from_millis(500)),
            ),
            ("2026-01-02T12:00:00", None),
            ("2026-01-02T12:00:00+1:00", None),
            ("2026-01-02T12:00:00+-1:00", None),
            ("2026-01-02T12:00:00 01:00", None),
            ("2026-01-02", None),
            ("ééé", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn any_number_is_told() {
        for (seconds, told) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (LAST_DATE_UNIX_SECONDS, "9999-12-31T23:59:59Z"),
            (LAST_DATE_UNIX_SECONDS + 1, "253402300800 s after 1970"),
            (u64::MAX, "18446744073709551615 s after 1970"),
        ] {
            assert_eq!(utc(seconds), told);
        }
    }
}
