//! What the host has, against what a workload asks for.

use std::io;
use std::path::PathBuf;
use std::{fs, path::Path};

use launch::{CpuLimit, CpuSet, MemoryLimit, MemorySwap, Resources};
use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};

/// Why a workload's limits do not fit this host, or the host can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A limit that can't limit, or a guest that can't be.
    #[error("{asked} of memory were asked for, this host has {} MiB", total_bytes >> 20)]
    Memory {
        /// What the workload asks for.
        asked: MemoryLimit,
        /// What the host has.
        total_bytes: u64,
    },
    /// More processor time than passes.
    #[error("{asked} CPUs were asked for, this host has {online}")]
    Cpus {
        /// What the workload asks for.
        asked: CpuLimit,
        /// How many the host has online.
        online: u32,
    },
    /// A CPU that is not there.
    #[error("CPUs {asked} were asked for, this host has {online}")]
    Cpuset {
        /// What the workload asks for.
        asked: CpuSet,
        /// Those that the host has online.
        online: CpuSet,
    },
    /// What is left for swap can't be said.
    #[error("memory and swap together can only be limited where memory is (-m)")]
    SwapAlone,
    /// Less than nothing would be left for swap.
    #[error(
        "{total} of memory and swap together (--memory-swap) are less than {memory} of memory (-m)"
    )]
    SwapBelowMemory {
        /// The limit of both together.
        total: MemoryLimit,
        /// The limit of memory.
        memory: MemoryLimit,
    },
    /// The host's memory or its CPUs are not known.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host's memory is not known.
    #[error("the size of the memory is not known")]
    NoMemory(#[source] io::Error),
    /// The host's CPUs are not known.
    #[error("{path} does not list CPUs")]
    NoCpuList {
        /// The file.
        path: PathBuf,
    },
    /// The number of the host's CPUs is not known.
    #[error("the number of CPUs is not known")]
    NoCpus(#[source] io::Error),
}

/// Refuses limits above what the host has, as docker does for CPUs, and those that contradict each
/// other.
///
/// # Errors
///
/// When one is, or the host can't be asked.
pub fn check_resources(resources: &Resources) -> Result<(), Error> {
    if let Some(asked) = resources.memory {
        fits_memory(asked, memory_total_bytes()?)?;
    }
    if let Some(asked) = resources.cpus {
        fits_cpus(asked, online_cpus()?)?;
    }
    if let Some(asked) = &resources.cpuset {
        fits_cpuset(asked, online_cpuset()?)?;
    }
    fits_swap(resources.memory, resources.memory_swap)
}

fn fits_memory(asked: MemoryLimit, total_bytes: u64) -> Result<(), Error> {
    if asked.bytes() > total_bytes {
        return Err(Error::Memory { asked, total_bytes });
    }
    Ok(())
}

fn fits_cpus(asked: CpuLimit, online: u32) -> Result<(), Error> {
    if u64::from(asked.milli_cpus()) > u64::from(online) * 1000 {
        return Err(Error::Cpus { asked, online });
    }
    Ok(())
}

fn fits_cpuset(asked: &CpuSet, online: CpuSet) -> Result<(), Error> {
    if asked.cpus().iter().all(|cpu| online.cpus().contains(cpu)) {
        return Ok(());
    }
    Err(Error::Cpuset {
        asked: asked.clone(),
        online,
    })
}

fn fits_swap(memory: Option<MemoryLimit>, swap: Option<MemorySwap>) -> Result<(), Error> {
    match (memory, swap) {
        (None, Some(_)) => Err(Error::SwapAlone),
        (Some(memory), Some(MemorySwap::Total(total))) if total < memory => {
            Err(Error::SwapBelowMemory { total, memory })
        }
        _ => Ok(()),
    }
}

/// The CPUs that the host has online, by number.
fn online_cpuset() -> Result<CpuSet, Error> {
    let path = Path::new("/sys/devices/system/cpu/online");
    let text = fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    text.trim().parse().map_err(|_| Error::NoCpuList {
        path: path.to_owned(),
    })
}

/// The memory that the host's kernel manages, in bytes: what proc_meminfo(5) has as `MemTotal`,
/// without all the counting that the rest of it takes.
///
/// # Errors
///
/// When the kernel does not tell.
pub fn memory_total_bytes() -> Result<u64, Error> {
    let info = sysinfo().map_err(|errno| Error::NoMemory(errno.into()))?;
    Ok(info.ram_total())
}

/// How many CPUs the host has online.
///
/// # Errors
///
/// When the C library does not know.
pub fn online_cpus() -> Result<u32, Error> {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).map_err(|e| Error::NoCpus(e.into()))?;
    online
        .and_then(|online| u32::try_from(online).ok())
        .ok_or_else(|| Error::NoCpus(io::ErrorKind::Unsupported.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_above_the_hosts_is_refused_with_both_figures() {
        let asked = "1t".parse().unwrap();
        let error = fits_memory(asked, 24 << 30).unwrap_err().to_string();
        assert_eq!(
            error,
            "1024 GiB of memory were asked for, this host has 24576 MiB"
        );
        assert!(fits_memory(asked, 1 << 40).is_ok());
    }

    #[test]
    fn cpus_above_the_hosts_are_refused_with_both_figures() {
        let asked = "2.5".parse().unwrap();
        let error = fits_cpus(asked, 2).unwrap_err().to_string();
        assert_eq!(error, "2.5 CPUs were asked for, this host has 2");
        assert!(fits_cpus(asked, 3).is_ok());
    }

    #[test]
    fn cpus_that_are_not_there_are_refused_by_number() {
        let asked = "1,7".parse().unwrap();
        let error = fits_cpuset(&asked, "0-1".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CPUs 1,7 were asked for, this host has 0,1"
        );
        assert!(fits_cpuset(&asked, "0-7".parse().unwrap()).is_ok());
    }

    #[test]
    fn swap_goes_with_memory_and_is_no_less() {
        let memory = Some(MemoryLimit::from_mib(64));
        let total = |mib| Some(MemorySwap::Total(MemoryLimit::from_mib(mib)));
        for (memory, swap, fits) in [
            (None, None, true),
            (memory, None, true),
            (memory, Some(MemorySwap::Unlimited), true),
            (memory, total(64), true),
            (memory, total(63), false),
            (None, total(64), false),
            (None, Some(MemorySwap::Unlimited), false),
        ] {
            assert_eq!(fits_swap(memory, swap).is_ok(), fits, "{memory:?} {swap:?}");
        }
    }

    #[test]
    fn the_memory_is_what_meminfo_says() {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
        let total = memory_total_bytes().unwrap();
        let line = format!("MemTotal: {} kB", total >> 10);
        let mut lines = meminfo.lines().map(|line| line.split_whitespace());
        assert!(
            lines.any(|words| words.eq(line.split_whitespace())),
            "{line}"
        );
    }

    #[test]
    fn this_host_has_memory_and_cpus() {
        assert!(memory_total_bytes().unwrap() > 1 << 20);
        assert!(online_cpus().unwrap() >= 1);
        assert!(!online_cpuset().unwrap().cpus().is_empty());
    }
}
