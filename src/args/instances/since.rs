use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is no time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("takes a time as in 2026-01-02T03:04:05Z, seconds since 1970, or a duration as in 10m")]
pub struct InvalidMoment;

/// A moment in docker's notations; a duration is counted back from now.
pub(super) fn moment(given: &str) -> Result<SystemTime, InvalidMoment> {
    let rfc3339 = humantime::parse_rfc3339_weak(given).ok();
    let seconds = || {
        let since = Duration::try_from_secs_f64(given.parse().ok()?).ok()?;
        UNIX_EPOCH.checked_add(since)
    };
    let ago = || SystemTime::now().checked_sub(humantime::parse_duration(given).ok()?);
    rfc3339.or_else(seconds).or_else(ago).ok_or(InvalidMoment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_seconds_or_a_duration() {
        let second = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        for (given, expected) in [
            ("2026-01-02T03:04:05Z", second(1_767_323_045)),
            ("2026-01-02T03:04:05", second(1_767_323_045)),
            ("2026-01-02", None),
            ("1767323045", second(1_767_323_045)),
            ("1.5", Some(UNIX_EPOCH + Duration::from_millis(1500))),
            ("", None),
            ("yesterday", None),
            ("-1", None),
            ("nan", None),
        ] {
            assert_eq!(moment(given).ok(), expected, "{given}");
        }
        let ago = moment("10m").unwrap().elapsed().unwrap();
        assert!((600..660).contains(&ago.as_secs()), "{ago:?}");
    }
}
