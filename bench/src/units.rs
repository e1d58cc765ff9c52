/// What takes the place of a figure that there is none of.
pub(crate) const NONE: &str = "-";

/// A figure as `show` writes it, or [`NONE`].
pub(crate) fn or_none<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NONE.into(), show)
}

/// Nanoseconds in the unit that suits them, with three significant digits.
pub fn time(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        ..1e3 => format!("{ns} ns"),
        // From there on three digits are a thousand of the unit.
        ..999.5e3 => format!("{} µs", three_digits(ns / 1e3)),
        ..999.5e6 => format!("{} ms", three_digits(ns / 1e6)),
        _ => format!("{} s", three_digits(ns / 1e9)),
    }
}

/// Bytes in the unit that suits them, with one decimal.
pub fn size(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    let b = bytes as f64;
    if b < KIB {
        format!("{bytes} B")
    } else if b < KIB * KIB {
        format!("{:.1} KiB", b / KIB)
    } else if b < KIB * KIB * KIB {
        format!("{:.1} MiB", b / KIB / KIB)
    } else {
        format!("{:.1} GiB", b / KIB / KIB / KIB)
    }
}

/// Bytes that may be fewer than none.
pub(crate) fn signed_size(bytes: i64) -> String {
    let sign = if bytes < 0 { "−" } else { "" };
    format!("{sign}{}", size(bytes.unsigned_abs()))
}

/// A number with three significant digits, or all those before the point.
pub(crate) fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A p with as many digits as say something.
pub(crate) fn p_value(p: f64) -> String {
    match p {
        ..0.0001 => "p < 0.0001".to_owned(),
        p => format!("p = {p:.4}"),
    }
}

/// The same of one that may be less than zero.
pub(crate) fn signed_three_digits(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", three_digits(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_340, "12.3 µs"),
            (9_996_000, "10.0 ms"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (999_950_000, "1.00 s"),
            (123_400_000, "123 ms"),
            (9_820_000_000, "9.82 s"),
            (600_000_000_000, "600 s"),
        ] {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(signed_size(-(3 << 20)), "−3.0 MiB");
        assert_eq!(signed_size(0), "0 B");
    }
}
