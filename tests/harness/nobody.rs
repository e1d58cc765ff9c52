//! jaula as an ordinary user has it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::unistd::geteuid;

use super::{JAULA, Seen, World, see};

/// Whether the test can become another user; if not, it is said.
pub fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

/// A copy of jaula where everybody can run it, in a world that everybody may write to.
pub fn nobodys_jaula(world: &World) -> PathBuf {
    let jaula = world.dir().join("jaula");
    fs::copy(JAULA, &jaula).unwrap();
    fs::set_permissions(world.dir(), Permissions::from_mode(0o777)).unwrap();
    jaula
}

/// Runs jaula as the user nobody, with a cache of its own.
pub fn run_as_nobody(world: &World, args: &[&str]) -> Seen {
    let jaula = nobodys_jaula(world);
    let setpriv = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let args = [&setpriv[..], &[jaula.to_str().unwrap()], args].concat();
    let mut command = world.command("setpriv", args);
    command.env("JAULA_CACHE_DIR", world.dir().join("cache"));
    see(command, b"")
}
