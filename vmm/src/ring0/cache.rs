//! Remembers the answer until the host reboots.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use kvm_ioctls::Kvm;

use super::{Ring0, probe};
use crate::probe::ProbeError;

/// Changes with each boot: proc_sys_kernel(5).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const FILE: &str = "ring0";
/// More than a line of ours takes; what is longer is not ours.
const MAX_BYTES: u64 = 128;

/// Who executes a guest kernel's instructions on this host: as it was found out before, since
/// the host was booted, or as it is now.
///
/// What is remembered is never trusted further than that: a file that makes no sense, or that
/// can't be read or written, costs a probe of some milliseconds and nothing else.
///
/// # Errors
///
/// When it was not known and the probe fails.
pub fn of_host(kvm: &Kvm) -> Result<Ring0, ProbeError> {
    let place = host::paths::cache_dir()
        .map_err(io::Error::other)
        .and_then(|dir| Ok((dir, fs::read_to_string(BOOT_ID)?)));
    match place {
        Ok((dir, boot)) => remembered(&dir, boot.trim(), || probe(kvm)),
        Err(error) => {
            tracing::debug!("the kind of ring 0 can't be remembered: {error}");
            probe(kvm)
        }
    }
}

fn remembered<E>(
    dir: &Path,
    boot: &str,
    probe: impl FnOnce() -> Result<Ring0, E>,
) -> Result<Ring0, E> {
    let path = dir.join(FILE);
    if let Some(ring0) = read(&path).ok().and_then(|line| parse(&line, boot)) {
        return Ok(ring0);
    }
    let ring0 = probe()?;
    if let Err(error) = write(dir, &path, &line(ring0, boot)) {
        tracing::debug!("{}: {error}", path.display());
    }
    Ok(ring0)
}

fn read(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut line)?;
    Ok(line)
}

/// Another run sees the old file or the new one, never half of one.
fn write(dir: &Path, path: &Path, line: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(line.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn line(ring0: Ring0, boot: &str) -> String {
    let (kind, rate) = match ring0 {
        Ring0::Hardware {
            instructions_per_second,
        } => ("hardware", instructions_per_second),
        Ring0::Emulated {
            instructions_per_second,
        } => ("emulated", instructions_per_second),
    };
    format!("{boot} {kind} {rate}\n")
}

fn parse(line: &str, boot: &str) -> Option<Ring0> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    if words.next() != Some(boot) {
        return None;
    }
    let kind = words.next()?;
    let instructions_per_second = words.next()?.parse().ok()?;
    match (kind, words.next()) {
        ("hardware", None) => Some(Ring0::Hardware {
            instructions_per_second,
        }),
        ("emulated", None) => Some(Ring0::Emulated {
            instructions_per_second,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    const ANSWER: Ring0 = Ring0::Emulated {
        instructions_per_second: 1_300_000,
    };

    /// Asks, with a cache in `dir`; returns whether a probe was made.
    fn probes(dir: &Path, boot: &str) -> bool {
        let probed = Cell::new(false);
        let answer = remembered(dir, boot, || {
            probed.set(true);
            Ok::<_, Infallible>(ANSWER)
        });
        assert_eq!(answer, Ok(ANSWER));
        probed.get()
    }

    #[test]
    fn one_probe_is_enough_for_a_boot() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("not-there-yet");
        assert!(probes(&cache, "a"));
        assert!(!probes(&cache, "a"));
        assert!(probes(&cache, "b"));
    }

    #[test]
    fn what_makes_no_sense_is_probed_anew() {
        let dir = tempfile::tempdir().unwrap();
        for line in [
            "",
            "a",
            "a emulated",
            "a emulated 1",
            "a emulated x\n",
            "a emulated 1 2\n",
            "a other 1\n",
            "a emulated -1\n",
            "a emulated 99999999999999999999999\n",
        ] {
            fs::write(dir.path().join(FILE), line).unwrap();
            assert!(probes(dir.path(), "a"), "{line:?}");
        }
        fs::write(dir.path().join(FILE), [0xff; 4096]).unwrap();
        assert!(probes(dir.path(), "a"));
    }

    #[test]
    fn a_cache_that_cant_be_written_costs_a_probe_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        assert!(probes(dir.path(), "a"));
        assert!(probes(dir.path(), "a"));
    }
}
