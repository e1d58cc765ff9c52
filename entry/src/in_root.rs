//! A path looked up with a directory as its root.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

/// Most times that one path is looked up. `..` below a root is refused with `EAGAIN`, openat2(2),
/// when meanwhile anything was mounted or renamed anywhere on the host.
const MAX_LOOKUPS: usize = 1000;

/// Opens what is at `path` with `root` as its `/`, wherever links in it lead, but through no
/// magic link of `/proc`; `resolve` may restrict it further. Makes system calls and nothing else
/// when the path is a `CStr`.
///
/// # Errors
///
/// Those of openat2(2).
pub fn open_in_root(
    root: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = || openat2(&root, path, flags, Mode::empty(), resolve);
    let opened = (1..MAX_LOOKUPS)
        .map(|_| open())
        .find(|opened| !matches!(opened, Err(Errno::AGAIN)));
    opened.unwrap_or_else(open)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::thread;

    use super::*;

    #[test]
    fn a_way_up_is_found_while_others_rename() {
        let name = format!("jaula-entry-renamed-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("down")).unwrap();
        let root = File::open(&dir).unwrap();
        let opened = thread::scope(|scope| {
            let renaming = scope.spawn(|| {
                let (from, to) = (dir.join("a"), dir.join("b"));
                File::create(&from).unwrap();
                for _ in 0..5000 {
                    fs::rename(&from, &to).unwrap();
                    fs::rename(&to, &from).unwrap();
                }
            });
            let way = "down/../down/../down";
            let mut opened = Ok(());
            while opened.is_ok() && !renaming.is_finished() {
                opened = open_in_root(&root, way, OFlags::PATH, ResolveFlags::empty()).map(drop);
            }
            opened
        });
        fs::remove_dir_all(&dir).unwrap();
        assert!(opened.is_ok(), "{opened:?}");
    }
}
