//! What a command does to files of the host's: all that a file system can be asked for.

use std::ffi::{CStr, CString};
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Where the files are that this is done to.
const DIR: &str = "/d/used";

/// What the host's administrators and programs have in mind with attributes is not tried.
const ATTRIBUTE: &CStr = c"user.of_a_test";

#[test]
#[ignore = "runs in an instance"]
fn use_a_file_system() {
    let dir = Path::new(DIR);
    fs::create_dir(dir).unwrap();
    names(dir);
    contents(dir);
    attributes(dir);
    fs::remove_dir_all(dir).unwrap();
}

fn names(dir: &Path) {
    let file = dir.join("name");
    fs::write(&file, "contents").unwrap();
    fs::hard_link(&file, dir.join("hard")).unwrap();
    fs::rename(dir.join("hard"), dir.join("other")).unwrap();
    symlink("name", dir.join("soft")).unwrap();
    assert_eq!(fs::read_link(dir.join("soft")).unwrap(), Path::new("name"));
    mkfifo(&dir.join("pipe"), Mode::S_IRUSR).unwrap();
    assert_eq!(fs::read_dir(dir).unwrap().count(), 4);
}

fn contents(dir: &Path) {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(dir.join("file"))
        .unwrap();
    file.write_all(&[b'x'; 8192]).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    let mut read = [0; 4];
    file.read_exact_at(&mut read, 0).unwrap();
    let mut appended = File::options().append(true).open(dir.join("file")).unwrap();
    appended.write_all(b"more").unwrap();
    let fd = file.as_raw_fd();
    // SAFETY: numbers only.
    done(unsafe { libc::fallocate(fd, 0, 0, 65536) });
    // SAFETY: the same.
    let hole = unsafe { libc::lseek(fd, 0, libc::SEEK_HOLE) };
    assert!(hole > 0, "{}", Errno::last());
    let copy = File::create(dir.join("copy")).unwrap();
    let (from, to) = (std::ptr::null_mut(), std::ptr::null_mut());
    file.seek(SeekFrom::Start(0)).unwrap();
    // SAFETY: without positions, numbers only.
    let copied = unsafe { libc::copy_file_range(fd, from, copy.as_raw_fd(), to, 4096, 0) };
    assert_eq!(copied, 4096, "{}", Errno::last());
    file.set_len(100).unwrap();
    let mut unnamed = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open(dir)
        .unwrap();
    unnamed.write_all(b"unnamed").unwrap();
    unnamed.seek(SeekFrom::Start(0)).unwrap();
    unnamed.read_to_end(&mut Vec::new()).unwrap();
    // SAFETY: a number.
    done(unsafe { libc::syncfs(fd) });
    nix::sys::statvfs::statvfs(dir).unwrap();
}

fn attributes(dir: &Path) {
    let file = dir.join("file");
    fs::set_permissions(&file, Permissions::from_mode(0o4755)).unwrap();
    // Takes the set-user-ID bit away.
    fs::write(&file, "others").unwrap();
    chown(&file, Some(1), Some(1)).unwrap();
    lchown(dir.join("soft"), Some(1), None).unwrap();
    let opened = File::options().write(true).open(&file).unwrap();
    let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    opened.set_times(times).unwrap();
    let path = CString::new(file.as_os_str().as_bytes()).unwrap();
    let (path, name) = (path.as_ptr(), ATTRIBUTE.as_ptr());
    let mut room = [0u8; 256];
    let (buffer, bytes) = (room.as_mut_ptr().cast::<libc::c_void>(), room.len());
    // SAFETY: both are C strings, and the buffer is as long as is said; all live through the calls.
    unsafe {
        done(libc::setxattr(path, name, buffer, 4, 0));
        assert_eq!(libc::getxattr(path, name, buffer, bytes), 4);
        assert!(libc::listxattr(path, buffer.cast(), bytes) > 0);
        done(libc::removexattr(path, name));
    }
}

fn done(result: libc::c_int) {
    assert_eq!(result, 0, "{}", Errno::last());
}
