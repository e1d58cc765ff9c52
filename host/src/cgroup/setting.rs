use launch::CpuLimit;

/// The period of a CPU quota: the kernel's default, and docker's. In microseconds.
pub(super) const CPU_PERIOD_US: u32 = 100_000;

/// The processor time in a period, in microseconds. The kernel takes no less than 1 ms, which
/// is what the smallest [`CpuLimit`] comes to.
pub(super) fn cpu_quota_us(limit: CpuLimit) -> u64 {
    u64::from(limit.milli_cpus()) * u64::from(CPU_PERIOD_US) / 1000
}

/// What it means that a control file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfAbsent {
    /// The setting can't be had.
    Fail,
    /// There is nothing to be limited by it.
    Ignore,
    /// The kernel does not account for swap.
    NoSwapAccounting,
}

/// A value for a control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub file: &'static str,
    pub value: String,
    pub if_absent: IfAbsent,
}

impl Setting {
    pub fn required(file: &'static str, value: impl ToString) -> Self {
        Self {
            file,
            value: value.to_string(),
            if_absent: IfAbsent::Fail,
        }
    }

    pub fn or(self, if_absent: IfAbsent) -> Self {
        Self { if_absent, ..self }
    }
}
