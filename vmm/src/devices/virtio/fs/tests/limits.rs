use std::fs;

use zerocopy::IntoBytes;

use super::super::wire::*;
use super::super::*;
use super::guest::{Guest, Place, SHARE, share};

fn guest(place: &Place, nodes: usize, handles: usize) -> Guest {
    for name in ["a", "b", "c"] {
        fs::write(place.share().join(name), "").unwrap();
    }
    Guest::with(
        vec![share(&place.share(), false)],
        Limits { nodes, handles },
    )
}

#[test]
fn a_guest_that_knows_of_too_many_files_is_told_and_goes_on_when_it_forgets() {
    let place = Place::new();
    let mut guest = guest(&place, 3, 9);
    let a = guest.look_up(SHARE, "a").unwrap().node;
    guest.look_up(SHARE, "b").unwrap();
    assert_eq!(guest.look_up(SHARE, "c").err(), Some(libc::ENFILE));
    assert_eq!(guest.create("new", 0o600).err(), Some(libc::ENFILE));
    let made = guest.ask_named(opcode::MKDIR, SHARE, &MkdirIn::default(), &["new"]);
    assert_eq!(made, Err(libc::ENFILE));
    assert!(!place.share().join("new").exists());
    // What it knows already it may be told again.
    assert_eq!(guest.look_up(SHARE, "a").unwrap().node, a);
    guest.forget(a, 1);
    assert_eq!(guest.look_up(SHARE, "c").err(), Some(libc::ENFILE));
    guest.forget(a, 1);
    guest.look_up(SHARE, "c").unwrap();
    assert_eq!(guest.attributes(a).err(), Some(libc::ESTALE));
}

#[test]
fn a_guest_that_has_too_much_open_is_told_and_goes_on_when_it_closes() {
    let place = Place::new();
    let mut guest = guest(&place, 9, 2);
    let a = guest.look_up(SHARE, "a").unwrap().node;
    let fh = guest.open(a, libc::O_RDONLY).unwrap().fh;
    guest.ask(opcode::OPENDIR, SHARE, &[0; 8]).unwrap();
    assert_eq!(guest.open(a, libc::O_RDONLY).err(), Some(libc::EMFILE));
    assert_eq!(
        guest.ask(opcode::OPENDIR, SHARE, &[0; 8]),
        Err(libc::EMFILE)
    );
    assert_eq!(guest.create("new", 0o600).err(), Some(libc::EMFILE));
    assert!(!place.share().join("new").exists());
    let release = ReleaseIn {
        fh,
        ..ReleaseIn::default()
    };
    guest.ask(opcode::RELEASE, a, release.as_bytes()).unwrap();
    guest.open(a, libc::O_RDONLY).unwrap();
}

#[test]
fn more_is_forgotten_than_was_told_without_harm() {
    let place = Place::new();
    let mut guest = guest(&place, 9, 9);
    let a = guest.look_up(SHARE, "a").unwrap().node;
    guest.forget(a, u64::MAX);
    guest.forget(a, 1);
    guest.forget(ROOT_NODE, 5);
    guest.forget(u64::MAX, 5);
    let batch = [
        BatchForgetIn {
            count: u32::MAX,
            dummy: 0,
        }
        .as_bytes(),
        ForgetOne {
            node: SHARE,
            lookups: 1,
        }
        .as_bytes(),
    ]
    .concat();
    let bytes = guest.write_request(opcode::BATCH_FORGET, 0, &batch);
    guest.exchange(&[crate::devices::virtio::driver::readable(
        super::guest::REQUEST,
        bytes,
    )]);
    assert_eq!(guest.fs.server.held(), (0, 0));
    // The share is still there to be found.
    guest.look_up(ROOT_NODE, "0").unwrap();
}

#[test]
fn a_mount_that_goes_takes_all_with_it() {
    let place = Place::new();
    let mut guest = guest(&place, 9, 9);
    guest.create("new", 0o600).unwrap();
    assert_eq!(guest.fs.server.held(), (2, 1));
    guest.ask(opcode::DESTROY, 0, &[]).unwrap();
    assert_eq!(guest.fs.server.held(), (0, 0));
    assert_eq!(guest.look_up(ROOT_NODE, "0").err(), Some(libc::EIO));
}
