//! A guest that is out to get elsewhere on the host.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use zerocopy::IntoBytes;

use super::super::wire::*;
use super::super::*;
use super::guest::{Guest, LIMITS, Place, SHARE, read, share};

#[test]
fn a_link_leads_nowhere_on_the_host() {
    let place = Place::new();
    symlink(&*place.outside(), place.share().join("directory")).unwrap();
    symlink(place.outside().join("secret"), place.share().join("file")).unwrap();
    symlink("/etc/passwd", place.share().join("passwd")).unwrap();
    let mut guest = Guest::of(&place);
    for name in ["directory", "file", "passwd"] {
        let link = guest.look_up(SHARE, name).unwrap();
        assert_eq!(link.attr.mode & libc::S_IFMT, libc::S_IFLNK, "{name}");
        let target = guest.ask(opcode::READLINK, link.node, &[]).unwrap();
        assert!(target.starts_with(b"/"));
        assert_eq!(guest.open(link.node, libc::O_RDWR).err(), Some(libc::ELOOP));
        assert_eq!(
            guest.ask(opcode::OPENDIR, link.node, &[0; 8]),
            Err(libc::ENOTDIR)
        );
        assert_eq!(
            guest.look_up(link.node, "secret").err(),
            Some(libc::ENOTDIR)
        );
        let how = CreateIn {
            flags: (libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32,
            mode: 0o666,
            ..CreateIn::default()
        };
        let below = guest.ask_named(opcode::CREATE, link.node, &how, &["new"]);
        assert_eq!(below, Err(libc::ENOTDIR));
        // The link stands where the file would be made.
        let here = guest.ask_named(opcode::CREATE, SHARE, &how, &[name]);
        assert_eq!(here, Err(libc::ELOOP));
        let size = SetAttrIn {
            valid: valid::SIZE,
            ..SetAttrIn::default()
        };
        assert_eq!(
            guest.ask(opcode::SETATTR, link.node, size.as_bytes()),
            Err(libc::ELOOP)
        );
        let mode = SetAttrIn {
            valid: valid::MODE,
            mode: 0o777,
            ..SetAttrIn::default()
        };
        assert_eq!(
            guest.ask(opcode::SETATTR, link.node, mode.as_bytes()),
            Err(libc::EOPNOTSUPP)
        );
    }
    place.assert_untouched();
}

#[test]
fn no_name_leads_up() {
    let place = Place::new();
    fs::create_dir(place.share().join("below")).unwrap();
    let mut guest = Guest::of(&place);
    let below = guest.look_up(SHARE, "below").unwrap().node;
    for name in ["..", ".", "", "../outside", "/etc/passwd", "below/.."] {
        for directory in [ROOT_NODE, SHARE, below] {
            assert_eq!(
                guest.look_up(directory, name).err(),
                Some(libc::EINVAL),
                "{name}"
            );
        }
        let rename = RenameIn { newdir: SHARE };
        let renamed = guest.ask_named(opcode::RENAME, SHARE, &rename, &["below", name]);
        assert_eq!(renamed, Err(libc::EINVAL), "{name}");
        let removed = guest.ask_named(opcode::RMDIR, SHARE, &(), &[name]);
        assert_eq!(removed, Err(libc::EINVAL), "{name}");
    }
    place.assert_untouched();
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_leads_nowhere() {
    let place = Place::new();
    fs::create_dir(place.share().join("d")).unwrap();
    let mut guest = Guest::of(&place);
    let directory = guest.look_up(SHARE, "d").unwrap().node;
    fs::rename(place.share().join("d"), place.share().join("moved")).unwrap();
    symlink(&*place.outside(), place.share().join("d")).unwrap();
    let made = guest.ask_named(opcode::MKDIR, directory, &MkdirIn::default(), &["new"]);
    assert!(made.is_ok());
    assert!(place.share().join("moved/new").is_dir());
    place.assert_untouched();
}

#[test]
fn a_race_of_a_directory_with_a_link_is_never_won() {
    let place = Place::new();
    let (directory, link) = (place.share().join("d"), place.share().join("l"));
    fs::create_dir(&directory).unwrap();
    symlink(&*place.outside(), &link).unwrap();
    let mut guest = Guest::of(&place);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also when an assertion fails: else the other thread would go on for ever.
        let _done = SetOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &directory, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for number in 0..1000 {
            let Ok(entry) = guest.look_up(SHARE, "d") else {
                continue;
            };
            let name = format!("new-{number}");
            let made = guest.ask_named(opcode::MKDIR, entry.node, &MkdirIn::default(), &[&name]);
            match made {
                Ok(made) => guest.forget(read::<EntryOut>(made).node, 1),
                Err(errno) => assert_eq!(errno, libc::ENOTDIR),
            }
            assert!(guest.look_up(entry.node, "secret").is_err());
        }
    });
    place.assert_untouched();
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_read_only_share_is_never_changed() {
    let place = Place::new();
    fs::write(place.share().join("file"), "as it was").unwrap();
    fs::create_dir(place.share().join("d")).unwrap();
    let mut guest = Guest::with(vec![share(&place.share(), true)], LIMITS);
    let file = guest.look_up(SHARE, "file").unwrap().node;
    let fh = guest.open(file, libc::O_RDONLY).unwrap().fh;

    let with = |bytes: &[u8], names: &[u8]| [bytes, names].concat();
    let fifo = MknodIn {
        mode: libc::S_IFIFO,
        ..MknodIn::default()
    };
    let create = CreateIn {
        flags: libc::O_WRONLY as u32,
        ..CreateIn::default()
    };
    let attributes = |valid| SetAttrIn {
        valid,
        fh,
        ..SetAttrIn::default()
    };
    let open = |flags: i32| OpenIn {
        flags: flags as u32,
        open_flags: 0,
    };
    let set = SetxattrIn { size: 1, flags: 0 };
    for (opcode, node, body) in [
        (opcode::MKDIR, SHARE, with(&[0; 8], b"new\0")),
        (opcode::MKNOD, SHARE, with(fifo.as_bytes(), b"new\0")),
        (opcode::SYMLINK, SHARE, with(&[], b"new\0file\0")),
        (opcode::CREATE, SHARE, with(create.as_bytes(), b"new\0")),
        (opcode::TMPFILE, SHARE, with(create.as_bytes(), b"")),
        (opcode::UNLINK, SHARE, with(&[], b"file\0")),
        (opcode::RMDIR, SHARE, with(&[], b"d\0")),
        (
            opcode::RENAME,
            SHARE,
            with(&SHARE.to_le_bytes(), b"file\0new\0"),
        ),
        (opcode::LINK, SHARE, with(&file.to_le_bytes(), b"new\0")),
        (
            opcode::SETATTR,
            file,
            with(attributes(valid::MODE).as_bytes(), b""),
        ),
        (
            opcode::SETATTR,
            file,
            with(attributes(valid::SIZE).as_bytes(), b""),
        ),
        (
            opcode::SETATTR,
            file,
            with(attributes(valid::UID).as_bytes(), b""),
        ),
        (
            opcode::SETATTR,
            file,
            with(attributes(valid::MTIME | valid::MTIME_NOW).as_bytes(), b""),
        ),
        (opcode::SETXATTR, file, with(set.as_bytes(), b"user.a\0x")),
        (opcode::REMOVEXATTR, file, with(&[], b"user.a\0")),
        (
            opcode::OPEN,
            file,
            with(open(libc::O_WRONLY).as_bytes(), b""),
        ),
        (opcode::OPEN, file, with(open(libc::O_RDWR).as_bytes(), b"")),
        (
            opcode::OPEN,
            file,
            with(open(libc::O_TRUNC).as_bytes(), b""),
        ),
    ] {
        let refused = guest.ask(opcode, node, &body);
        assert_eq!(refused, Err(libc::EROFS), "{opcode}");
    }
    // A handle for reading is not one for writing.
    let how = WriteIn {
        fh,
        ..WriteIn::default()
    };
    assert_eq!(guest.write(how, b"x"), Err(libc::EBADF));
    let allocate = FallocateIn {
        fh,
        length: 1 << 20,
        ..FallocateIn::default()
    };
    let refused = guest.ask(opcode::FALLOCATE, file, allocate.as_bytes());
    assert_eq!(refused, Err(libc::EBADF));
    assert_eq!(guest.read(fh, 0, 100).unwrap(), b"as it was");
    assert_eq!(fs::read_dir(place.share()).unwrap().count(), 2);
}

#[test]
fn a_special_file_is_never_opened_on_the_host() {
    let place = Place::new();
    let pipe = place.share().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.share().join("socket")).unwrap();
    let mut guest = Guest::of(&place);
    for name in ["pipe", "socket"] {
        let node = guest.look_up(SHARE, name).unwrap().node;
        for flags in [libc::O_RDONLY, libc::O_RDWR] {
            assert_eq!(guest.open(node, flags).err(), Some(libc::ENXIO), "{name}");
        }
        // One that stands where a file is to be made.
        let how = CreateIn {
            flags: libc::O_RDWR as u32,
            ..CreateIn::default()
        };
        let made = guest.ask_named(opcode::CREATE, SHARE, &how, &[name]);
        assert_eq!(made, Err(libc::ENXIO), "{name}");
        let size = SetAttrIn {
            valid: valid::SIZE,
            ..SetAttrIn::default()
        };
        let cut = guest.ask(opcode::SETATTR, node, size.as_bytes());
        assert_eq!(cut, Err(libc::ENXIO), "{name}");
    }
}

#[test]
fn no_device_is_made_on_the_host() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    for kind in [libc::S_IFCHR, libc::S_IFBLK] {
        let device = MknodIn {
            mode: kind | 0o666,
            rdev: 0x103,
            ..MknodIn::default()
        };
        let made = guest.ask_named(opcode::MKNOD, SHARE, &device, &["device"]);
        assert_eq!(made, Err(libc::EPERM));
    }
    for entry in fs::read_dir(place.share()).unwrap() {
        let kind = entry.unwrap().file_type().unwrap();
        assert!(!kind.is_char_device() && !kind.is_block_device());
    }
}

#[test]
fn what_is_neither_a_file_nor_a_directory_is_not_shared() {
    let place = Place::new();
    let pipe = place.share().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let opened = rustix::fs::open(&pipe, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    assert!(matches!(
        Share::new(opened, false),
        Err(ShareError::Special)
    ));
}
