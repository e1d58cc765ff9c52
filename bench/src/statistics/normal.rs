/// The probability that a standard normal variable is `z` or more.
pub(super) fn upper_tail(z: f64) -> f64 {
    libm::erfc(z / std::f64::consts::SQRT_2) / 2.0
}

/// The value that a standard normal variable exceeds with a probability of 2.5 %: the upper end of
/// the interval of [`super::CONFIDENCE`].
pub(super) const UPPER_2_5_PERCENT: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as in any table of the normal distribution (NIST/SEMATECH e-Handbook of Statistical
    /// Methods, 1.3.6.7.1).
    #[test]
    fn it_is_what_tables_say() {
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.158_655),
            (1.96, 0.024_998),
            (-1.0, 0.841_345),
            (3.0, 0.001_350),
        ] {
            assert!((upper_tail(z) - expected).abs() < 1e-6, "{z}");
        }
        assert!((upper_tail(UPPER_2_5_PERCENT) - 0.025).abs() < 1e-12);
    }
}
