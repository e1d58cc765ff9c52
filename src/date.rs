//! Dates for people.

use std::time::{Duration, UNIX_EPOCH};

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

#[cfg(test)]
mod tests {
    use super::*;

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
