use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use nix::unistd::geteuid;
use zerocopy::IntoBytes;

use super::super::wire::*;
use super::guest::{Guest, Place, SHARE};

fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: only root gives files away");
    }
    root
}

fn owner(guest: &Place, name: &str) -> (u32, u32) {
    let found = guest.share().join(name).symlink_metadata().unwrap();
    (found.uid(), found.gid())
}

#[test]
fn what_a_user_makes_is_that_users_on_the_host_too() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // Nobody else may enter: who may is the guest's kernel's to decide, which has root's say.
    fs::set_permissions(&*place.share(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut guest = Guest::of(&place);
    guest.owner = (1234, 4321);
    let (file, _) = guest.create("file", 0o600).unwrap();
    assert_eq!((file.attr.uid, file.attr.gid), (1234, 4321));
    guest
        .ask_named(opcode::MKDIR, SHARE, &MkdirIn::default(), &["d"])
        .unwrap();
    guest
        .ask_named(opcode::SYMLINK, SHARE, &(), &["link", "x"])
        .unwrap();
    let fifo = MknodIn {
        mode: libc::S_IFIFO,
        ..MknodIn::default()
    };
    guest
        .ask_named(opcode::MKNOD, SHARE, &fifo, &["fifo"])
        .unwrap();
    for name in ["file", "d", "link", "fifo"] {
        assert_eq!(owner(&place, name), (1234, 4321), "{name}");
    }
    guest.owner = (0, 0);
    guest.create("roots", 0o600).unwrap();
    assert_eq!(owner(&place, "roots"), (0, 0));
}

#[test]
fn a_directory_hands_its_group_on_and_masks_are_the_guests() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    chown(&*place.share(), Some(0), Some(77)).unwrap();
    fs::set_permissions(&*place.share(), fs::Permissions::from_mode(0o2777)).unwrap();
    let mut guest = Guest::of(&place);
    guest.owner = (1234, 4321);
    let how = CreateIn {
        flags: libc::O_WRONLY as u32,
        mode: 0o666,
        umask: 0o027,
        open_flags: 0,
    };
    guest
        .ask_named(opcode::CREATE, SHARE, &how, &["file"])
        .unwrap();
    assert_eq!(owner(&place, "file"), (1234, 77));
    let mode = fs::metadata(place.share().join("file")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn a_file_is_given_away() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let (file, _) = guest.create("file", 0o600).unwrap();
    let wanted = SetAttrIn {
        valid: valid::UID,
        uid: 5,
        gid: 6,
        ..SetAttrIn::default()
    };
    guest
        .ask(opcode::SETATTR, file.node, wanted.as_bytes())
        .unwrap();
    assert_eq!(owner(&place, "file"), (5, 0));
}
