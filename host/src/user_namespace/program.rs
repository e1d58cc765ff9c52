use std::env;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

use super::{Error, Missing, Range};

/// newuidmap(1) or newgidmap(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    name: &'static str,
    path: PathBuf,
}

impl Program {
    pub(super) fn find(name: &'static str) -> Result<Self, Missing> {
        let dirs = env::var_os("PATH").unwrap_or_default();
        let path = env::split_paths(&dirs)
            // What an empty or a relative one leads to depends on where jaula is started.
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|path| is_program(path))
            .ok_or(Missing::Program(name))?;
        Ok(Self { name, path })
    }

    /// Has it map ID 0 of the user namespace of `pid` to `own`, and those from 1 on to `ranges`.
    pub(super) fn start(&self, pid: Pid, own: u32, ranges: &[Range]) -> io::Result<Child> {
        Command::new(&self.path)
            .arg(pid.to_string())
            .args(extents(own, ranges).iter().map(u32::to_string))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    }

    pub(super) fn finish(&self, started: io::Result<Child>) -> Result<(), Error> {
        let Self { name, .. } = *self;
        let failed = |source| Error::Run { name, source };
        let mut child = started.map_err(failed)?;
        let mut said = Vec::new();
        if let Some(stderr) = &mut child.stderr {
            stderr.read_to_end(&mut said).map_err(failed)?;
        }
        if child.wait().map_err(failed)?.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().lines().next_back();
        Err(Error::Refused {
            name,
            said: said.unwrap_or("it did not say why").to_owned(),
        })
    }
}

/// Triples of an ID inside, an ID outside and a count.
fn extents(own: u32, ranges: &[Range]) -> Vec<u32> {
    let mut numbers = vec![0, own, 1];
    let mut inside: u32 = 1;
    for Range { first, count } in ranges {
        // There are no more IDs inside than outside, where none is twice.
        numbers.extend([inside, *first, *count]);
        inside = inside.saturating_add(*count);
    }
    numbers
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_from_1_on() {
        let range = |first, count| Range { first, count };
        assert_eq!(
            extents(1000, &[range(100_000, 65536), range(7, 2)]),
            [0, 1000, 1, 1, 100_000, 65536, 65537, 7, 2]
        );
    }
}
