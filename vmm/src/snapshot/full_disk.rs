//! Tests of what happens where there is no room: on a file system of 256 KiB.

use std::fs;
use std::path::Path;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::memory;

/// Runs `test` in a directory that is soon full. It is mounted for the test's own thread alone,
/// and is gone with it.
fn with_small_disk(test: impl FnOnce(&Path) + Send) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let dir = tempfile::tempdir().unwrap();
            let none = None::<&str>;
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            let mounted = unshare(CloneFlags::CLONE_NEWNS)
                .and_then(|()| mount(none, "/", none, private, none))
                .and_then(|()| {
                    let flags = MsFlags::empty();
                    mount(
                        Some("small"),
                        dir.path(),
                        Some("tmpfs"),
                        flags,
                        Some("size=256k"),
                    )
                });
            match mounted {
                Ok(()) => test(dir.path()),
                Err(errno) => eprintln!("SKIPPED: can't mount a tmpfs, which takes root: {errno}"),
            }
        });
    });
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    with_small_disk(|dir| {
        let memory = memory::allocate(8 << 20).unwrap();
        memory
            .write_slice(&vec![1; 2 << 20], GuestAddress(0))
            .unwrap();
        let store = Store::new(dir.join("snapshots"));
        let unfinished = store.begin(&"a".parse().unwrap()).unwrap();
        let error = unfinished
            .files()
            .write_memory(&memory, &AddressSpace::of_process().unwrap())
            .unwrap_err();
        assert!(
            matches!(error, DraftError::Save(SaveError::NoRoom { .. })),
            "{error}"
        );
        assert!(error.remedy().is_some());
        drop(unfinished);
        assert_eq!(fs::read_dir(dir.join("snapshots")).unwrap().count(), 0);
    });
}

#[test]
fn a_disk_that_is_full_when_the_state_is_written_is_named_too() {
    with_small_disk(|dir| {
        let memory = memory::allocate(1 << 20).unwrap();
        let draft = Draft::create(&dir.join("snapshot")).unwrap();
        let saved = draft
            .files()
            .write_memory(&memory, &AddressSpace::of_process().unwrap())
            .unwrap();
        let machine = vec![1_u8; 512 << 10];
        let error = draft
            .files()
            .write_state(&sample::description(saved), &machine)
            .unwrap_err();
        assert!(
            matches!(error, DraftError::Save(SaveError::NoRoom { .. })),
            "{error}"
        );
    });
}
