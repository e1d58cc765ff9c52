//! How long ago something was, as docker says it.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// In one unit, roughly.
pub fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let several = |count: u64, unit: &str| format!("{count} {unit}");
    // The nearest hour, since an hour is long.
    let hours = (seconds + HOUR / 2) / HOUR;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..MINUTE => several(seconds, "seconds"),
        MINUTE..120 => "About a minute".into(),
        120..HOUR => several(seconds / MINUTE, "minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => several(hours, "hours"),
        _ if hours < 24 * 14 => several(seconds / DAY, "days"),
        _ if hours < 24 * 60 => several(seconds / (7 * DAY), "weeks"),
        _ if hours < 24 * 730 => several(seconds / (30 * DAY), "months"),
        _ => several(seconds / (365 * DAY), "years"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_dockers() {
        for (seconds, said) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (HOUR - 1, "59 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (800 * DAY, "2 years"),
        ] {
            assert_eq!(roughly(Duration::from_secs(seconds)), said, "{seconds}");
        }
    }
}
