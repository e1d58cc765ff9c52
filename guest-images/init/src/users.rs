//! What the command's root says of users and groups.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use entry::open_in_root;
use guest_protocol::{MAX_USERS_BYTES, UserFile, Users};
use rustix::fs::{FileType, OFlags, ResolveFlags, fstat};
use rustix::io::Errno;

/// Reads the files in this root.
pub(crate) fn in_root(root: &impl AsFd) -> Result<Users, Errno> {
    let root = root.as_fd();
    Ok(Users {
        passwd: read(root, "etc/passwd")?,
        group: read(root, "etc/group")?,
    })
}

/// The command may have made anything of the file: a link out of its root, a pipe that nobody
/// writes to, an endless file. A missing one is as good as an empty one.
fn read(root: BorrowedFd<'_>, path: &str) -> Result<UserFile, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match open_in_root(root, path, flags, ResolveFlags::empty()) {
        Err(Errno::NOENT) => return Ok(UserFile::Bytes(Vec::new())),
        opened => opened?,
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(UserFile::NotRegular);
    }
    let mut bytes = Vec::new();
    let read = File::from(file)
        .take(MAX_USERS_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if bytes.len() as u64 > MAX_USERS_BYTES {
        return Ok(UserFile::TooLong);
    }
    Ok(UserFile::Bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use rustix::fs::{CWD, Mode, mknodat};

    use super::*;

    /// A root of a test's own.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let name = format!("jaula-init-users-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(path.join("etc")).unwrap();
            Self(path)
        }

        fn users(&self) -> Users {
            in_root(&File::open(&self.0).unwrap()).unwrap()
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bytes(text: &str) -> UserFile {
        UserFile::Bytes(text.into())
    }

    #[test]
    fn the_files_of_the_root_are_read_and_none_outside_of_it() {
        let root = Root::new("read");
        symlink("/etc/mine", root.0.join("etc/passwd")).unwrap();
        fs::write(root.0.join("etc/mine"), "a:x:1:2::/:\n").unwrap();
        symlink("../../../../../etc/passwd", root.0.join("etc/group")).unwrap();
        let users = root.users();
        assert_eq!(users.passwd, bytes("a:x:1:2::/:\n"));
        assert_eq!(users.group, bytes("a:x:1:2::/:\n"));
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_no_file_or_endless_is_said_to_be() {
        let root = Root::new("odd");
        let mode = Mode::RWXU;
        mknodat(CWD, root.0.join("etc/passwd"), FileType::Fifo, mode, 0).unwrap();
        let users = root.users();
        assert_eq!(
            (users.passwd, users.group),
            (UserFile::NotRegular, bytes(""))
        );
        let group = File::create(root.0.join("etc/group")).unwrap();
        group.set_len(MAX_USERS_BYTES + 1).unwrap();
        assert_eq!(root.users().group, UserFile::TooLong);
    }
}
