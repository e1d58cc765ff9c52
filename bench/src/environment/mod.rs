//! Where figures were taken: without it they mean little.

mod file_system;
mod host;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use launch::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vmm::ring0::Ring0;

pub use file_system::FileSystem;
pub use host::{CgroupMount, HostFacts};

use crate::floors::Floors;

/// Where the figures were taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// When, as RFC 3339 in UTC.
    pub taken_at: String,
    /// The processor's own name, where the kernel tells it.
    pub cpu_model: Option<String>,
    /// CPUs that jaula may run on.
    pub cpus: usize,
    /// Release of the host's kernel, as of `uname -r`.
    pub kernel_release: String,
    /// Who executes a guest kernel's instructions. `None` when that is not known.
    pub guest_ring0: Option<Ring0>,
    /// What else of the host bears on figures.
    pub host: HostFacts,
    /// The file system that holds the image, as long as nobody looked `None`.
    pub image_file_system: Option<FileSystem>,
    /// What the kernel takes at least; empty where that was not measured.
    pub floors: Floors,
    /// What took them.
    pub programs: Programs,
}

/// The programs whose figures these are. What can't be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// Version of jaula.
    pub jaula_version: String,
    /// SHA-256 of its binary.
    pub jaula_sha256: Option<Digest>,
    /// SHA-256 of the kernel that guests boot.
    pub guest_kernel_sha256: Option<Digest>,
}

impl Programs {
    /// This binary, beside a guest's kernel of this digest.
    pub fn this(guest_kernel_sha256: Option<Digest>) -> Self {
        Self {
            jaula_version: env!("CARGO_PKG_VERSION").to_owned(),
            jaula_sha256: file_sha256(Path::new("/proc/self/exe")).ok(),
            guest_kernel_sha256,
        }
    }
}

/// In one line, for people, behind what is said of the host.
impl fmt::Display for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.jaula_version.is_empty() {
            write!(f, "; jaula {}", self.jaula_version)?;
        }
        let digests = [
            ("binary", &self.jaula_sha256),
            ("guest kernel", &self.guest_kernel_sha256),
        ];
        for (name, digest) in digests {
            if let Some(digest) = digest {
                write!(f, ", {name} {}", short(digest))?;
            }
        }
        Ok(())
    }
}

/// As many digits as git shows: they tell two builds apart.
pub(crate) fn short(digest: &Digest) -> &str {
    let digits = digest.as_str();
    digits.get(..12).unwrap_or(digits)
}

/// SHA-256 of a file.
///
/// # Errors
///
/// When it can't be read.
pub fn file_sha256(path: &Path) -> io::Result<Digest> {
    let mut file = BufReader::with_capacity(64 << 10, File::open(path)?);
    let mut digest = Sha256::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(Digest::from_bytes(&digest.finalize()));
        }
        digest.update(bytes);
        let length = bytes.len();
        file.consume(length);
    }
}

impl Environment {
    /// Looks at this host, now. How a guest's kernel runs is known once the VM is prepared.
    pub fn of_this_host(guest_ring0: Option<Ring0>) -> Self {
        Self {
            taken_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            cpu_model: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|cpuinfo| cpu_model(&cpuinfo)),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel_release: nix::sys::utsname::uname()
                .map(|names| names.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            guest_ring0,
            host: HostFacts::read(Path::new("/")),
            image_file_system: None,
            floors: Floors::default(),
            programs: Programs::default(),
        }
    }
}

/// In one line, for people.
impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu_model.as_deref().unwrap_or("unknown processor");
        write!(f, "{}: {cpu}, {} CPUs", self.taken_at, self.cpus)?;
        write!(f, ", Linux {}", self.kernel_release)?;
        match self.guest_ring0 {
            None => Ok(()),
            Some(Ring0::Hardware { .. }) => f.write_str(", guest kernel mode in hardware"),
            Some(Ring0::Emulated {
                instructions_per_second,
            }) => write!(
                f,
                ", guest kernel mode emulated at {:.1} million instructions a second",
                instructions_per_second as f64 / 1e6
            ),
        }
    }
}

/// The first processor's name in `/proc/cpuinfo`.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == "model name").then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_as_it_names_itself() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7B13\n";
        assert_eq!(cpu_model(cpuinfo), Some("AMD EPYC 7B13".into()));
        assert_eq!(cpu_model("processor : 0\n"), None);
    }

    #[test]
    fn the_host_is_looked_at() {
        let environment = Environment::of_this_host(None);
        assert!(environment.cpus > 0);
        assert!(!environment.kernel_release.is_empty());
        assert_eq!(environment.taken_at.len(), "2026-01-01T00:00:00Z".len());
    }

    #[test]
    fn programs_are_told_by_their_contents() {
        let programs = Programs::this(None);
        assert_eq!(programs.jaula_version, env!("CARGO_PKG_VERSION"));
        assert_eq!(programs.jaula_sha256.unwrap().as_str().len(), 64);
    }
}
