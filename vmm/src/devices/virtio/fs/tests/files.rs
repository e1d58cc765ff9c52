//! What a guest does with files, and what the host sees of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use zerocopy::{FromBytes, IntoBytes};

use super::super::wire::*;
use super::guest::{Guest, LIMITS, Place, SHARE, read, share};

#[test]
fn bytes_that_are_written_are_the_hosts_at_once_and_read_back() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (_, fh) = guest.create("file", 0o640).unwrap();
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| ((i * 7) >> 3) as u8).collect();
    let how = WriteIn {
        fh,
        offset: 3,
        ..WriteIn::default()
    };
    assert_eq!(guest.write(how, &data), Ok(1 << 20));
    let found = fs::read(place.share().join("file")).unwrap();
    assert_eq!(found[..3], [0; 3]);
    assert!(found[3..] == data);
    assert!(guest.read(fh, 3, 1 << 20).unwrap() == data);
    assert_eq!(
        guest.read(fh, (1 << 20) + 1, 100).unwrap(),
        data[data.len() - 2..]
    );
    assert!(guest.read(fh, 1 << 40, 100).unwrap().is_empty());
    let mode = fs::metadata(place.share().join("file")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn what_the_host_changes_is_seen_at_once() {
    let place = Place::new();
    fs::write(place.share().join("file"), "one").unwrap();
    let mut guest = Guest::of(&place);
    let node = guest.look_up(SHARE, "file").unwrap();
    // No name is taken for granted, and attributes not for long.
    assert_eq!((node.entry_valid, node.entry_valid_ns), (0, 0));
    assert_eq!((node.attr_valid, node.attr_valid_ns), (1, 0));
    fs::write(place.share().join("file"), "longer").unwrap();
    assert_eq!(guest.look_up(SHARE, "file").unwrap().attr.size, 6);
    assert_eq!(guest.attributes(node.node).unwrap().size, 6);
    let fh = guest.open(node.node, libc::O_RDONLY).unwrap().fh;
    assert_eq!(guest.read(fh, 0, 100).unwrap(), b"longer");
}

#[test]
fn an_open_file_outlives_its_name() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (entry, fh) = guest.create("file", 0o600).unwrap();
    let how = WriteIn {
        fh,
        ..WriteIn::default()
    };
    guest.write(how, b"kept").unwrap();
    guest
        .ask_named(opcode::UNLINK, SHARE, &(), &["file"])
        .unwrap();
    assert!(!place.share().join("file").exists());
    assert_eq!(guest.look_up(SHARE, "file").err(), Some(libc::ENOENT));
    assert_eq!(guest.read(fh, 0, 9).unwrap(), b"kept");
    assert_eq!(guest.attributes(entry.node).unwrap().nlink, 0);
}

#[test]
fn names_are_made_moved_and_removed() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let directory = MkdirIn {
        mode: 0o777,
        umask: 0o022,
    };
    let answer = guest.ask_named(opcode::MKDIR, SHARE, &directory, &["d"]);
    let directory: EntryOut = read(answer.unwrap());
    assert_eq!(directory.attr.mode & 0o7777, 0o755);
    let fifo = MknodIn {
        mode: libc::S_IFIFO | 0o600,
        ..MknodIn::default()
    };
    guest
        .ask_named(opcode::MKNOD, directory.node, &fifo, &["fifo"])
        .unwrap();
    let answer = guest.ask_named(opcode::SYMLINK, SHARE, &(), &["link", "d/fifo"]);
    let link: EntryOut = read(answer.unwrap());
    assert_eq!(
        guest.ask(opcode::READLINK, link.node, &[]).unwrap(),
        b"d/fifo"
    );

    let (file, _) = guest.create("a", 0o600).unwrap();
    let answer = guest.ask_named(
        opcode::LINK,
        directory.node,
        &LinkIn { node: file.node },
        &["b"],
    );
    let linked: EntryOut = read(answer.unwrap());
    assert_eq!((linked.node, linked.attr.nlink), (file.node, 2));

    let rename = Rename2In {
        newdir: directory.node,
        flags: libc::RENAME_NOREPLACE,
        padding: 0,
    };
    let renamed = guest.ask_named(opcode::RENAME2, SHARE, &rename, &["a", "b"]);
    assert_eq!(renamed, Err(libc::EEXIST));
    guest
        .ask_named(opcode::RENAME2, SHARE, &rename, &["a", "c"])
        .unwrap();
    let rename = RenameIn {
        newdir: directory.node,
    };
    guest
        .ask_named(opcode::RENAME, directory.node, &rename, &["c", "b2"])
        .unwrap();
    let removed = guest.ask_named(opcode::RMDIR, SHARE, &(), &["d"]);
    assert_eq!(removed, Err(libc::ENOTEMPTY));
    for name in ["fifo", "b", "b2"] {
        guest
            .ask_named(opcode::UNLINK, directory.node, &(), &[name])
            .unwrap();
    }
    guest.ask_named(opcode::RMDIR, SHARE, &(), &["d"]).unwrap();
    assert_eq!(fs::read_dir(place.share()).unwrap().count(), 1);
}

#[test]
fn a_directory_is_listed_whole_whatever_the_room() {
    let place = Place::new();
    for number in 0..300 {
        fs::write(place.share().join(format!("file-{number}")), "").unwrap();
    }
    let mut guest = Guest::of(&place);
    for room in [80, 1000, 1 << 16] {
        let opened: OpenOut = read(guest.ask(opcode::OPENDIR, SHARE, &[0; 8]).unwrap());
        let mut found = BTreeMap::new();
        let mut offset = 0;
        loop {
            let how = ReadIn {
                fh: opened.fh,
                offset,
                size: room,
                ..ReadIn::default()
            };
            let answer = guest.ask(opcode::READDIR, SHARE, how.as_bytes()).unwrap();
            assert!(answer.len() <= room as usize);
            let mut rest = &answer[..];
            if rest.is_empty() {
                break;
            }
            while !rest.is_empty() {
                let (entry, name) = Dirent::read_from_prefix(rest).unwrap();
                let bytes = (24 + entry.namelen as usize).next_multiple_of(8);
                let name = &name[..entry.namelen as usize];
                found.insert(String::from_utf8(name.to_vec()).unwrap(), entry.kind);
                offset = entry.offset;
                rest = &rest[bytes..];
            }
        }
        assert_eq!(found.len(), 302, "{room}");
        assert_eq!(found["."], 4);
        assert_eq!(found["file-299"], 8);
        let release = ReleaseIn {
            fh: opened.fh,
            ..ReleaseIn::default()
        };
        guest
            .ask(opcode::RELEASEDIR, SHARE, release.as_bytes())
            .unwrap();
    }
}

#[test]
fn attributes_are_set_and_shown() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (file, fh) = guest.create("file", 0o600).unwrap();
    let wanted = SetAttrIn {
        valid: valid::MODE | valid::SIZE | valid::MTIME | valid::ATIME | valid::ATIME_NOW,
        mode: 0o4751,
        size: 12345,
        mtime: 1_000_000_000,
        mtime_ns: 7,
        ..SetAttrIn::default()
    };
    let answer = guest.ask(opcode::SETATTR, file.node, wanted.as_bytes());
    let attr = read::<AttrOut>(answer.unwrap()).attr;
    assert_eq!(attr.mode, libc::S_IFREG | 0o4751);
    assert_eq!(
        (attr.size, attr.mtime, attr.mtime_ns),
        (12345, 1_000_000_000, 7)
    );
    assert!(attr.atime > 1_000_000_000);
    let found = fs::metadata(place.share().join("file")).unwrap();
    assert_eq!((found.len(), found.mtime()), (12345, 1_000_000_000));

    // By handle, whatever has become of the name.
    fs::remove_file(place.share().join("file")).unwrap();
    let wanted = SetAttrIn {
        valid: valid::SIZE | valid::FH,
        fh,
        size: 5,
        ..SetAttrIn::default()
    };
    let answer = guest.ask(opcode::SETATTR, file.node, wanted.as_bytes());
    assert_eq!(read::<AttrOut>(answer.unwrap()).attr.size, 5);
}

#[test]
fn appended_bytes_go_where_the_file_ends_and_cached_ones_where_they_were() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (_, fh) = guest.create("file", 0o600).unwrap();
    fs::write(place.share().join("file"), "host").unwrap();
    let append = WriteIn {
        fh,
        flags: (libc::O_WRONLY | libc::O_APPEND) as u32,
        ..WriteIn::default()
    };
    guest.write(append, b"+guest").unwrap();
    let cached = WriteIn {
        write_flags: WRITE_CACHE,
        ..append
    };
    guest.write(cached, b"H").unwrap();
    let found = fs::read_to_string(place.share().join("file")).unwrap();
    assert_eq!(found, "Host+guest");
}

#[test]
fn bits_that_give_rights_go_when_the_guest_says_so() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let path = place.share().join("file");
    let (_, fh) = guest.create("file", 0o755).unwrap();
    for (write_flags, mode) in [(0, 0o4755), (WRITE_KILL_SUIDGID, 0o755)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let how = WriteIn {
            fh,
            write_flags,
            ..WriteIn::default()
        };
        guest.write(how, b"x").unwrap();
        // Who has no rights over others' files loses the bits in any case.
        if nix::unistd::geteuid().is_root() {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
    }
}

#[test]
fn data_is_allocated_found_and_copied() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (_, from) = guest.create("from", 0o600).unwrap();
    let (node, to) = guest.create("to", 0o600).unwrap();
    let how = WriteIn {
        fh: from,
        offset: 1 << 20,
        ..WriteIn::default()
    };
    guest.write(how, b"data").unwrap();
    let seek = LseekIn {
        fh: from,
        offset: 0,
        whence: libc::SEEK_HOLE as u32,
        padding: 0,
    };
    let answer = guest.ask(opcode::LSEEK, 0, seek.as_bytes()).unwrap();
    assert_eq!(read::<LseekOut>(answer).offset, 0);
    let copy = CopyFileRangeIn {
        fh_in: from,
        offset_in: 1 << 20,
        node_out: node.node,
        fh_out: to,
        offset_out: 2,
        length: u64::MAX,
        flags: 0,
    };
    let answer = guest.ask(opcode::COPY_FILE_RANGE, 0, copy.as_bytes());
    assert_eq!(read::<WriteOut>(answer.unwrap()).size, 4);
    assert_eq!(guest.read(to, 0, 10).unwrap(), b"\0\0data");
    let allocate = FallocateIn {
        fh: to,
        offset: 0,
        length: 8192,
        ..FallocateIn::default()
    };
    guest
        .ask(opcode::FALLOCATE, 0, allocate.as_bytes())
        .unwrap();
    assert_eq!(guest.attributes(node.node).unwrap().size, 8192);
    for opcode in [opcode::FSYNC, opcode::FLUSH] {
        let body = [to.as_bytes(), &[0; 16]].concat();
        guest.ask(opcode, node.node, &body).unwrap();
    }
    guest.ask(opcode::SYNCFS, ROOT_NODE, &[0; 8]).unwrap();
    let found: StatfsOut = read(guest.ask(opcode::STATFS, SHARE, &[]).unwrap());
    assert!(found.blocks > 0 && found.namelen == 255, "{found:?}");
}

#[test]
fn a_file_without_a_name_has_none_on_the_host() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let how = CreateIn {
        flags: libc::O_RDWR as u32,
        mode: 0o600,
        ..CreateIn::default()
    };
    let answer = guest.ask(opcode::TMPFILE, SHARE, how.as_bytes()).unwrap();
    let (entry, opened) = EntryOut::read_from_prefix(&answer).unwrap();
    let fh = read::<OpenOut>(opened.to_vec()).fh;
    let how = WriteIn {
        fh,
        ..WriteIn::default()
    };
    guest.write(how, b"x").unwrap();
    assert_eq!(entry.attr.nlink, 0);
    assert_eq!(fs::read_dir(place.share()).unwrap().count(), 0);
}

#[test]
fn users_attributes_are_kept_and_others_are_not_touched() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (file, _) = guest.create("file", 0o600).unwrap();
    let set = |guest: &mut Guest, name: &str, value: &[u8]| {
        let how = SetxattrIn {
            size: value.len() as u32,
            flags: 0,
        };
        let body = [how.as_bytes(), name.as_bytes(), b"\0", value].concat();
        guest.ask(opcode::SETXATTR, file.node, &body)
    };
    let get = |guest: &mut Guest, name: &str, size| {
        let how = GetxattrIn { size, padding: 0 };
        guest.ask_named(opcode::GETXATTR, file.node, &how, &[name])
    };
    set(&mut guest, "user.colour", b"green").unwrap();
    assert_eq!(get(&mut guest, "user.colour", 100).unwrap(), b"green");
    assert_eq!(get(&mut guest, "user.colour", 4), Err(libc::ERANGE));
    let size: GetxattrOut = read(get(&mut guest, "user.colour", 0).unwrap());
    assert_eq!(size.size, 5);
    for name in ["trusted.overlay.opaque", "security.selinux", "other"] {
        assert_eq!(set(&mut guest, name, b"y"), Err(libc::EPERM), "{name}");
    }
    assert_eq!(get(&mut guest, "trusted.x", 9), Err(libc::ENODATA));
    let list = GetxattrIn {
        size: 100,
        padding: 0,
    };
    let names = guest.ask(opcode::LISTXATTR, file.node, list.as_bytes());
    assert_eq!(names.unwrap(), b"user.colour\0");
    let remove =
        |guest: &mut Guest| guest.ask_named(opcode::REMOVEXATTR, file.node, &(), &["user.colour"]);
    remove(&mut guest).unwrap();
    assert_eq!(remove(&mut guest), Err(libc::ENODATA));
}

#[test]
fn one_file_is_shared_as_well_as_a_directory() {
    let place = Place::new();
    let path = place.share().join("file");
    fs::write(&path, "alone").unwrap();
    let shares = vec![share(&path, false), share(&place.share(), true)];
    let mut guest = Guest::with(shares, LIMITS);
    let fh = guest.open(SHARE, libc::O_RDWR).unwrap().fh;
    assert_eq!(guest.read(fh, 0, 10).unwrap(), b"alone");
    let directory = guest.look_up(ROOT_NODE, "1").unwrap();
    let same = guest.look_up(directory.node, "file").unwrap();
    // One file, but two ways to it, of which one is read-only.
    assert_ne!(same.node, SHARE);
    assert_eq!(guest.open(same.node, libc::O_RDWR).err(), Some(libc::EROFS));
    assert_eq!(guest.look_up(ROOT_NODE, "2").err(), Some(libc::ENOENT));
}
