use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::size::{ByteSize, InvalidSize};

/// A limit that makes no sense, in the words of the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?}: {why}")]
pub struct InvalidResource {
    pub(crate) what: &'static str,
    pub(crate) given: String,
    pub(crate) why: &'static str,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How much memory a workload may use, in whole pages: a container's limit, a guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemoryLimit(u64);

impl MemoryLimit {
    /// docker's smallest limit; under it not even a shell starts.
    const MIN_BYTES: u64 = 6 * MIB;
    const PAGE_BYTES: u64 = 4 * KIB;

    /// A limit of this many MiB, at least docker's smallest.
    pub const fn from_mib(mib: u32) -> Self {
        let bytes = mib as u64 * MIB;
        Self(if bytes < Self::MIN_BYTES {
            Self::MIN_BYTES
        } else {
            bytes
        })
    }

    /// The limit in bytes, a multiple of the page size.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// In the notation of [`ByteSize`].
impl FromStr for MemoryLimit {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        let refuse = |why| InvalidResource {
            what: "memory",
            given: given.to_owned(),
            why,
        };
        let ByteSize(bytes) = given.parse().map_err(|InvalidSize(why)| refuse(why))?;
        if bytes < Self::MIN_BYTES {
            return Err(refuse("the smallest limit is 6m"));
        }
        Ok(Self(bytes - bytes % Self::PAGE_BYTES))
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % GIB == 0 => write!(f, "{} GiB", bytes / GIB),
            bytes if bytes % MIB == 0 => write!(f, "{} MiB", bytes / MIB),
            bytes => write!(f, "{} KiB", bytes / KIB),
        }
    }
}

/// How much processor time a workload may use: thousandths of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CpuLimit {
    milli_cpus: NonZeroU32,
}

impl CpuLimit {
    /// The limit in thousandths of a CPU.
    pub fn milli_cpus(self) -> u32 {
        self.milli_cpus.get()
    }

    /// How many CPUs can use it, each for all of the time or a part of it.
    pub fn rounded_up(self) -> u32 {
        self.milli_cpus().div_ceil(1000)
    }
}

/// docker's notation: a decimal number of CPUs, as in `1.5`.
impl FromStr for CpuLimit {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        let refuse = |why| InvalidResource {
            what: "cpus",
            given: given.to_owned(),
            why,
        };
        let cpus: f64 = given
            .parse()
            .map_err(|_| refuse("takes a number, as in 1.5"))?;
        if !(0.01..=4096.0).contains(&cpus) {
            return Err(refuse("takes a number from 0.01 to 4096"));
        }
        // In range, so the cast neither truncates nor yields 0.
        NonZeroU32::new((cpus * 1000.0).round() as u32)
            .map(|milli_cpus| Self { milli_cpus })
            .ok_or_else(|| refuse("takes a number from 0.01 to 4096"))
    }
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.milli_cpus()) / 1000.0)
    }
}

/// How many processes and threads a workload may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidsLimit(NonZeroU32);

impl PidsLimit {
    /// The limit.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for PidsLimit {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        // PID_MAX_LIMIT of a 64-bit kernel, include/linux/threads.h.
        const MAX: u32 = 4 * 1024 * 1024;
        given
            .parse()
            .ok()
            .filter(|limit: &NonZeroU32| limit.get() <= MAX)
            .map(Self)
            .ok_or_else(|| InvalidResource {
                what: "pids limit",
                given: given.to_owned(),
                why: "takes a whole number from 1 to 4194304",
            })
    }
}

/// How much memory and swap a workload may use together: docker's `--memory-swap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemorySwap {
    /// As much swap as there is.
    Unlimited,
    /// Memory and swap together; no swap if that is all of the memory's limit.
    Total(MemoryLimit),
}

/// docker's notation: a size, or -1 for no limit of swap.
impl FromStr for MemorySwap {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        match given {
            "-1" => Ok(Self::Unlimited),
            size => size.parse().map(Self::Total),
        }
    }
}

/// The host's CPUs that a workload may run on, by number, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuSet(Vec<u32>);

impl CpuSet {
    /// Of a kernel with the largest NR_CPUS that `arch/x86/Kconfig` allows.
    const MAX_CPUS: u32 = 8192;

    /// The numbers, ascending.
    pub fn cpus(&self) -> &[u32] {
        &self.0
    }
}

/// The notation of `cpuset(7)`: numbers and ranges, as in `0-2,4`.
impl FromStr for CpuSet {
    type Err = InvalidResource;

    fn from_str(given: &str) -> Result<Self, InvalidResource> {
        let refuse = |why| InvalidResource {
            what: "cpuset",
            given: given.to_owned(),
            why,
        };
        let number = |text: &str| {
            text.parse()
                .ok()
                .filter(|cpu: &u32| *cpu < Self::MAX_CPUS)
                .ok_or_else(|| refuse("takes numbers of CPUs and ranges of them, as in 0-2,4"))
        };
        let mut cpus = std::collections::BTreeSet::new();
        for part in given.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(refuse("a range goes from the smaller to the larger number"));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus.into_iter().collect()))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

/// The limits of a workload; what is `None` is not limited, but for a guest's memory, which
/// then has a default size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory.
    pub memory: Option<MemoryLimit>,
    /// Memory and swap together.
    pub memory_swap: Option<MemorySwap>,
    /// Processor time.
    pub cpus: Option<CpuLimit>,
    /// The CPUs that it may run on.
    pub cpuset: Option<CpuSet>,
    /// Processes and threads.
    pub pids: Option<PidsLimit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_docker_reads_it() {
        for (given, bytes) in [
            ("6291456", 6 * MIB),
            ("8192k", 8 * MIB),
            ("64m", 64 * MIB),
            ("64M", 64 * MIB),
            ("2g", 2 * GIB),
            ("1t", 1024 * GIB),
            ("6291457", 6 * MIB),
        ] {
            assert_eq!(
                given.parse::<MemoryLimit>().map(MemoryLimit::bytes),
                Ok(bytes),
                "{given}"
            );
        }
        for given in ["", "0", "-1", "m", "5m", "1x", "1.5g", "99999999999g", "ä"] {
            assert!(given.parse::<MemoryLimit>().is_err(), "{given}");
        }
    }

    #[test]
    fn cpus_are_a_decimal_number() {
        for (given, milli) in [("1", 1000), ("0.5", 500), ("1.25", 1250), ("0.01", 10)] {
            assert_eq!(
                given.parse::<CpuLimit>().map(CpuLimit::milli_cpus),
                Ok(milli),
                "{given}"
            );
        }
        for given in ["", "0", "-1", "nan", "inf", "1e9", "0.001"] {
            assert!(given.parse::<CpuLimit>().is_err(), "{given}");
        }
    }

    #[test]
    fn pids_are_a_positive_number() {
        assert_eq!("1".parse::<PidsLimit>().map(PidsLimit::get), Ok(1));
        for given in ["", "0", "-1", "5000000", "x"] {
            assert!(given.parse::<PidsLimit>().is_err(), "{given}");
        }
    }

    #[test]
    fn cpu_sets_are_numbers_and_ranges() {
        for (given, expected) in [
            ("0", Some("0")),
            ("0-2,4", Some("0,1,2,4")),
            ("4,1-1,4", Some("1,4")),
            ("", None),
            ("1-", None),
            ("2-1", None),
            ("0-9999", None),
            ("a", None),
        ] {
            let set = given.parse::<CpuSet>().ok();
            assert_eq!(
                set.map(|set| set.to_string()).as_deref(),
                expected,
                "{given}"
            );
        }
    }

    #[test]
    fn swap_is_a_total_or_unlimited() {
        assert_eq!("-1".parse(), Ok(MemorySwap::Unlimited));
        let total = MemoryLimit::from_mib(64);
        assert_eq!("64m".parse(), Ok(MemorySwap::Total(total)));
        assert!("-2".parse::<MemorySwap>().is_err());
    }
}
