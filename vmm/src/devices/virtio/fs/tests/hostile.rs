//! A guest that sends anything.

use std::fs;

use proptest::prelude::*;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use zerocopy::IntoBytes;

use super::super::wire::*;
use super::super::*;
use super::guest::{ANSWER, Guest, LIMITS, Place, REQUEST, SHARE, share};
use crate::devices::virtio::driver::{readable, writable};

#[test]
fn nothing_is_served_before_the_mount_and_nothing_is_mounted_without_shares() {
    let place = Place::new();
    let mut guest = Guest::unmounted(vec![share(&place.share(), false)], LIMITS);
    assert_eq!(guest.look_up(ROOT_NODE, "0").err(), Some(libc::EIO));
    let old = InitIn {
        major: MAJOR,
        minor: OLDEST_MINOR - 1,
        ..InitIn::default()
    };
    let refused = guest.ask(opcode::INIT, 0, old.as_bytes());
    assert_eq!(refused, Err(libc::EPROTO));
    guest.mount().unwrap();
    guest.look_up(ROOT_NODE, "0").unwrap();

    let mut guest = Guest::unmounted(vec![], LIMITS);
    assert_eq!(guest.mount(), Err(libc::ENODEV));
    assert_eq!(guest.look_up(ROOT_NODE, "0").err(), Some(libc::EIO));
}

#[test]
fn the_root_shows_nothing_and_takes_nothing() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    assert_eq!(
        guest.attributes(ROOT_NODE).unwrap().mode,
        libc::S_IFDIR | 0o500
    );
    assert_eq!(
        guest.ask(opcode::OPENDIR, ROOT_NODE, &[0; 8]),
        Err(libc::EPERM)
    );
    for name in ["1", "-1", "x", "18446744073709551616"] {
        assert_eq!(guest.look_up(ROOT_NODE, name).err(), Some(libc::ENOENT));
    }
    let made = guest.ask_named(opcode::MKDIR, ROOT_NODE, &MkdirIn::default(), &["d"]);
    assert_eq!(made, Err(libc::ESTALE));
}

#[test]
fn what_is_not_known_is_told_so() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    assert_eq!(guest.ask(9999, SHARE, &[]), Err(libc::ENOSYS));
    assert_eq!(guest.look_up(999, "x").err(), Some(libc::ESTALE));
    assert_eq!(guest.read(999, 0, 1), Err(libc::EBADF));
    assert_eq!(guest.read(u64::MAX, u64::MAX, u32::MAX), Err(libc::EBADF));
    assert_eq!(guest.ask(opcode::OPEN, SHARE, &[]), Err(libc::EINVAL));
}

#[test]
fn a_chain_without_room_is_given_back_unanswered() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let bytes = guest.write_request(opcode::GETATTR, SHARE, &[0; 16]);
    for chain in [
        &[][..],
        &[readable(REQUEST, bytes)],
        &[readable(REQUEST, 39), writable(ANSWER, 1000)],
        &[readable(REQUEST, bytes), writable(ANSWER, 15)],
        &[readable(REQUEST, bytes), writable(u64::MAX - 10, 1000)],
        &[readable(1 << 40, bytes), writable(ANSWER, 1000)],
        &[writable(ANSWER, 1000), readable(REQUEST, bytes)],
    ] {
        if !chain.is_empty() {
            assert_eq!(guest.exchange(chain), 0);
        }
    }
    // One that has room for the header only, gets that.
    let refused = guest.ask_with_room(opcode::GETATTR, SHARE, &[0; 16], 16);
    assert_eq!(refused, Err(libc::EINVAL));
    assert!(guest.attributes(SHARE).is_ok());
}

#[test]
fn a_size_is_believed_as_far_as_there_is_room() {
    let place = Place::new();
    fs::write(place.share().join("file"), vec![7; 1000]).unwrap();
    let mut guest = Guest::of(&place);
    let node = guest.look_up(SHARE, "file").unwrap().node;
    let fh = guest.open(node, libc::O_RDWR).unwrap().fh;
    let how = ReadIn {
        fh,
        size: u32::MAX,
        ..ReadIn::default()
    };
    let answer = guest.ask_with_room(opcode::READ, node, how.as_bytes(), 16 + 10);
    assert_eq!(answer.unwrap(), [7; 10]);
    // More than was sent.
    let how = WriteIn {
        fh,
        size: u32::MAX,
        ..WriteIn::default()
    };
    let body = [how.as_bytes(), b"data"].concat();
    assert_eq!(guest.ask(opcode::WRITE, node, &body), Err(libc::EINVAL));
    // A value of an attribute of more than there can be.
    let how = SetxattrIn {
        size: u32::MAX,
        flags: 0,
    };
    let body = [how.as_bytes(), b"user.a\0", &vec![0; 1 << 20]].concat();
    assert_eq!(guest.ask(opcode::SETXATTR, node, &body), Err(libc::EINVAL));
    let list = ReadIn {
        fh,
        size: u32::MAX,
        ..ReadIn::default()
    };
    let listed = guest.ask(opcode::READDIR, node, list.as_bytes());
    assert_eq!(listed, Err(libc::EBADF));
}

#[test]
fn a_broken_queue_stops_the_device_and_frees_what_it_held() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let index = guest.driver.available_index();
    guest
        .driver
        .set_available_index(index.wrapping_add(QUEUE_SIZE + 1));
    guest.fs.serve();
    assert!(guest.fs.served_queues().is_none());
    assert_eq!(guest.fs.server.held(), (0, 0));
}

#[test]
fn a_queue_that_always_has_more_is_left_and_looked_at_again() {
    let place = Place::new();
    let mut guest = Guest::of(&place);
    let queues = vec![
        guest.urgent.device_queue(true),
        guest.driver.endless_queue(),
    ];
    let interrupt = Interrupt::new(EventFd::new(EFD_NONBLOCK).unwrap());
    guest.fs.activate(queues, interrupt).unwrap();
    guest.fs.serve();
    assert!(guest.fs.slots.offered()[1].notify.read().is_ok());
}

/// A number that is often one that means something.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..12, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => 0u64..10_000]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "a", "b", "file", "d", "link", "pipe", "0", "..", ".", "", "/", "../outside/secret",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]
    .prop_map(|mut name| {
        name.push(0);
        name
    })
}

/// Numbers, as most requests begin, and names behind them.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![0u32..8, any::<u32>(), Just(0o100_666), Just(u32::MAX)];
    (
        prop::collection::vec(number(), 0..3),
        prop::collection::vec(small, 0..8),
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(|(long, short, names)| {
            let mut body: Vec<u8> = long.iter().flat_map(|n| n.to_le_bytes()).collect();
            body.extend(short.iter().flat_map(|n| n.to_le_bytes()));
            body.extend(names.concat());
            body
        })
}

fn opcode() -> impl Strategy<Value = u32> {
    // Not what ends the session, fills the disk, or has all of it written down.
    (1u32..52).prop_filter("kept out", |opcode| {
        !matches!(
            *opcode,
            opcode::DESTROY | opcode::INIT | opcode::FALLOCATE | opcode::SYNCFS
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_requests_do_harm(
        requests in prop::collection::vec((opcode(), number(), body(), 0u32..300), 1..60),
        read_only: bool,
    ) {
        let place = Place::new();
        fs::write(place.share().join("file"), "content").unwrap();
        fs::create_dir(place.share().join("d")).unwrap();
        std::os::unix::fs::symlink(&*place.outside(), place.share().join("link")).unwrap();
        let pipe = place.share().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let limits = Limits { nodes: 5, handles: 4 };
        let mut guest = Guest::with(vec![share(&place.share(), read_only)], limits);
        for name in ["file", "d", "link"] {
            guest.look_up(SHARE, name).unwrap();
        }
        // Handles 1 and 2.
        guest.open(SHARE + 1, libc::O_RDONLY).unwrap();
        guest.ask(opcode::OPENDIR, SHARE, &[0; 8]).unwrap();
        for (opcode, node, body, room) in requests {
            // A file that is large only in name takes no room, but the time to be copied.
            if opcode == opcode::WRITE && body.len() > 16 && body[12..16] != [0; 4] {
                continue;
            }
            let bytes = guest.write_request(opcode, node, &body);
            guest.exchange(&[readable(REQUEST, bytes), writable(ANSWER, room * 8)]);
            let (nodes, handles) = guest.fs.server.held();
            prop_assert!(nodes <= 5 && handles <= 4);
            prop_assert!(guest.fs.served_queues().is_some());
        }
        place.assert_untouched();
        if read_only {
            prop_assert_eq!(fs::read_dir(place.share()).unwrap().count(), 4);
            prop_assert_eq!(fs::read(place.share().join("file")).unwrap(), b"content");
        }
    }

    #[test]
    fn no_chains_do_harm(
        chains in prop::collection::vec(
            prop::collection::vec(
                (
                    prop_oneof![Just(REQUEST), Just(ANSWER), any::<u64>()],
                    prop_oneof![0u32..100, any::<u32>()],
                    any::<bool>(),
                ),
                1..5,
            ),
            1..20,
        ),
    ) {
        let place = Place::new();
        let mut guest = Guest::of(&place);
        guest.write_request(opcode::GETATTR, SHARE, &[0; 16]);
        for chain in chains {
            let chain: Vec<_> = chain
                .into_iter()
                .map(|(address, bytes, is_writable)| match is_writable {
                    true => writable(address, bytes),
                    false => readable(address, bytes),
                })
                .collect();
            guest.exchange(&chain);
        }
        place.assert_untouched();
    }
}
