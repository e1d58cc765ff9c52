//! `/etc/hosts` and `/etc/hostname`, which docker provides too: without the first one,
//! `localhost` has no address in most images.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use launch::Hostname;

use crate::syscall::{self, Errno, Result};

const ETC: &CStr = c"etc";

/// The files, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameFiles {
    hosts: Vec<u8>,
    hostname: Vec<u8>,
}

impl NameFiles {
    pub(crate) fn new(hostname: &Hostname) -> Self {
        // The name has an address of the loopback network of its own, as Debian does it: there
        // is no other network.
        let hosts = format!(
            "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             127.0.1.1\t{hostname}\n"
        );
        Self {
            hosts: hosts.into(),
            hostname: format!("{hostname}\n").into(),
        }
    }

    /// Puts them into the empty upper directory of an overlay that is not mounted yet, where
    /// there is nothing of the image's that could lead elsewhere. `layer` is a layer of the image
    /// whose `/etc` is not hidden by one above; `false` if it has none. An image whose `/etc` is
    /// no directory goes without. `keep_owner` needs the right to give files away.
    pub(crate) fn write(
        &self,
        upper: BorrowedFd<'_>,
        layer: BorrowedFd<'_>,
        keep_owner: bool,
    ) -> Result<bool> {
        let like = match syscall::stat_no_follow(layer, ETC) {
            Ok(stat) if stat.st_mode & libc::S_IFMT != libc::S_IFDIR => return Ok(true),
            Ok(stat) => stat,
            Err(Errno(libc::ENOENT)) => return Ok(false),
            Err(errno) => return Err(errno),
        };
        // The overlay shows a directory with the owner and mode that it has in the upper layer.
        syscall::make_directory(upper, ETC, like.st_mode & 0o7777)?;
        if keep_owner {
            syscall::give_away(upper, ETC, like.st_uid, like.st_gid)?;
        }
        self.write_files(upper)?;
        Ok(true)
    }

    /// The same for an image that has no `/etc`.
    pub(crate) fn write_without_etc(&self, upper: BorrowedFd<'_>) -> Result<()> {
        syscall::make_directory(upper, ETC, 0o755)?;
        self.write_files(upper)
    }

    fn write_files(&self, upper: BorrowedFd<'_>) -> Result<()> {
        let etc = syscall::open_in_root(upper, ETC, libc::O_DIRECTORY, 0)?;
        write_new(etc.as_fd(), c"hosts", &self.hosts)?;
        write_new(etc.as_fd(), c"hostname", &self.hostname)
    }
}

fn write_new(directory: BorrowedFd<'_>, name: &CStr, bytes: &[u8]) -> Result<()> {
    let file = syscall::create_file(directory, name, 0o644)?;
    syscall::write_all(file.as_fd(), bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    struct Layers(PathBuf);

    impl Layers {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("jaula-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("upper")).unwrap();
            fs::create_dir_all(dir.join("lower")).unwrap();
            Self(dir)
        }

        fn write(&self) {
            let upper = File::open(self.0.join("upper")).unwrap();
            let lower = File::open(self.0.join("lower")).unwrap();
            let names = NameFiles::new(&"box".parse().unwrap());
            if !names.write(upper.as_fd(), lower.as_fd(), true).unwrap() {
                names.write_without_etc(upper.as_fd()).unwrap();
            }
        }
    }

    impl Drop for Layers {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn names_are_written_where_the_image_has_no_etc() {
        let layers = Layers::new("no-etc");
        layers.write();
        let etc = layers.0.join("upper/etc");
        let hosts = fs::read_to_string(etc.join("hosts")).unwrap();
        assert!(hosts.contains("127.0.0.1\tlocalhost\n"));
        assert!(hosts.contains("\tbox\n"));
        assert_eq!(fs::read_to_string(etc.join("hostname")).unwrap(), "box\n");
    }

    #[test]
    fn etc_keeps_the_mode_that_it_has_in_the_image() {
        let layers = Layers::new("etc-mode");
        let etc = layers.0.join("lower/etc");
        fs::create_dir(&etc).unwrap();
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o750)).unwrap();
        layers.write();
        let made = fs::metadata(layers.0.join("upper/etc")).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o750);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let layers = Layers::new("etc-link");
        let elsewhere = layers.0.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, layers.0.join("lower/etc")).unwrap();
        layers.write();
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(fs::read_dir(layers.0.join("upper")).unwrap().count(), 0);
    }
}
