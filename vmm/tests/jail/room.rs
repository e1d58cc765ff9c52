//! Namespaces, root, identity, rights and limits, without a filter.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::kill;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Gid, Uid, geteuid, getppid, setgroups, setresgid, setresuid};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, openat, statx};
use vmm::jail::{Jail, JailError, Rights};

use super::in_child;

/// Who starts a monitor.
#[derive(Clone, Copy, Debug)]
enum Starter {
    Root,
    Ordinary,
}

impl Starter {
    fn become_it(self) -> nix::Result<()> {
        let (uid, gid) = (Uid::from_raw(1234), Gid::from_raw(1234));
        match self {
            Self::Root => Ok(()),
            Self::Ordinary => setgroups(&[])
                .and_then(|()| setresgid(gid, gid, gid))
                .and_then(|()| setresuid(uid, uid, uid))
                // As it is after an `execve`, of which this is in place: or nothing in
                // `/proc/self` would be theirs.
                .and_then(|()| prctl::set_dumpable(true)),
        }
    }
}

fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

/// What `act` says in a process that `starter` has started and that is closed in.
#[track_caller]
fn inside(starter: Starter, act: fn() -> String) -> String {
    let end = in_child(|| {
        if let Err(errno) = starter.become_it() {
            return format!("{starter:?}: {errno}");
        }
        match Jail::enter().and_then(|jail| jail.close(Rights::None)) {
            Ok(()) => act(),
            Err(error) => launch::Chain(&error).to_string(),
        }
    });
    assert!(matches!(end.status, WaitStatus::Exited(_, 0)), "{end:?}");
    end.said
}

/// The result of a system call that gives a number.
fn answer(result: libc::c_long) -> String {
    match Errno::result(result) {
        Ok(_) => "done".to_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

const STARTERS: [Starter; 2] = [Starter::Root, Starter::Ordinary];

#[test]
fn there_is_nothing_in_its_root_and_nothing_can_be_made_there() {
    if !is_root() {
        return;
    }
    for starter in STARTERS {
        let found = inside(starter, || {
            let entries = fs::read_dir("/").map(Iterator::count);
            let up = fs::read_dir("/../..").map(Iterator::count);
            let passwd = fs::read("/etc/passwd").map_err(|error| error.kind());
            let made = fs::create_dir("/x").is_ok();
            let mounted = fs::read_dir("/proc").is_ok();
            format!("{entries:?} {up:?} {passwd:?} {made} {mounted}")
        });
        assert_eq!(
            found, "Ok(0) Ok(0) Err(NotFound) false false",
            "{starter:?}"
        );
    }
}

#[test]
fn it_has_no_rights_and_gets_none() {
    if !is_root() {
        return;
    }
    for starter in STARTERS {
        for (what, act) in [
            ("become root", || {
                // SAFETY: numbers only.
                answer(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) })
            }),
            ("make a namespace", || {
                // SAFETY: no memory and no descriptors are unshared.
                answer(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())
            }),
            ("change its root", || {
                // SAFETY: a C string.
                answer(unsafe { libc::chroot(c"/".as_ptr()) }.into())
            }),
            ("name its host", || {
                // SAFETY: one byte of a C string.
                answer(unsafe { libc::sethostname(c"x".as_ptr(), 1) }.into())
            }),
            ("mount", || {
                let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
                let (kind, data) = (c"tmpfs".as_ptr(), std::ptr::null());
                // SAFETY: C strings, and no data.
                answer(unsafe { libc::mount(none, root, kind, 0, data) }.into())
            }),
            ("look into its parent", || {
                let parent = getppid().as_raw();
                // SAFETY: attaching takes numbers only.
                answer(unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent, 0, 0) })
            }),
        ] as [(&str, fn() -> String); 6]
        {
            let expected = match (what, starter) {
                // Where there is nobody else, root is no number.
                ("become root", Starter::Ordinary) => "EINVAL",
                _ => "EPERM",
            };
            assert_eq!(inside(starter, act), expected, "{starter:?}: {what}");
        }
    }
}

#[test]
fn a_monitor_of_roots_is_a_user_of_its_own_who_can_signal_nobody() {
    if !is_root() {
        return;
    }
    let ids = || inside(Starter::Root, || format!("{}", geteuid()));
    let (one, other) = (ids(), ids());
    assert_ne!(one, other);
    assert!(one.parse::<u32>().unwrap() >= 0x7000_0000, "{one}");
    let signalled = inside(Starter::Root, || format!("{:?}", kill(getppid(), None)));
    assert_eq!(signalled, "Err(EPERM)");
}

#[test]
fn it_reaches_no_network() {
    if !is_root() {
        return;
    }
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listening.local_addr().unwrap().port();
    for starter in STARTERS {
        let end = in_child(|| {
            let entered = starter.become_it().is_ok()
                && Jail::enter()
                    .and_then(|jail| jail.close(Rights::None))
                    .is_ok();
            let connected = std::net::TcpStream::connect(("127.0.0.1", port));
            format!(
                "{entered} {:?}",
                connected.map_err(|error| error.kind()).err()
            )
        });
        assert_eq!(end.said, "true Some(NetworkUnreachable)", "{starter:?}");
    }
}

#[test]
fn what_the_kernel_says_of_it_is_that_it_can_do_nothing() {
    if !is_root() {
        return;
    }
    for starter in STARTERS {
        let end = in_child(|| {
            // Opened before: there is no /proc inside.
            let Ok(mut status) = fs::File::open("/proc/self/status") else {
                return "no /proc".to_owned();
            };
            if let Err(error) = starter
                .become_it()
                .map_err(|errno| errno.to_string())
                .and_then(|()| Jail::enter().map_err(|error| error.to_string()))
                .and_then(|jail| jail.close(Rights::None).map_err(|error| error.to_string()))
            {
                return error;
            }
            let mut text = String::new();
            let read = std::io::Read::read_to_string(&mut status, &mut text);
            // SAFETY: takes numbers only.
            let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
            match read {
                Ok(_) => format!("{text}dumpable:\t{dumpable}\n"),
                Err(error) => error.to_string(),
            }
        });
        let none = "0000000000000000";
        for (key, value) in [
            ("CapInh", none),
            ("CapPrm", none),
            ("CapEff", none),
            ("CapBnd", none),
            ("CapAmb", none),
            ("NoNewPrivs", "1"),
            ("dumpable", "0"),
        ] {
            let line = format!("{key}:\t{value}\n");
            assert!(end.said.contains(&line), "{starter:?}: {key}: {}", end.said);
        }
    }
}

/// What the root of a share is, and what is above it.
fn look(root: &OwnedFd, path: &str) -> Option<(u32, u64)> {
    let found = statx(root, path, AtFlags::EMPTY_PATH, StatxFlags::INO).ok()?;
    Some((found.stx_dev_minor, found.stx_ino))
}

/// What `act` does with a share, by a thread that has the rights of root over files.
#[track_caller]
fn with_share(read_only: bool, dir: &Path, act: impl FnOnce(&OwnedFd) -> String) -> String {
    let root = open(dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    in_child(|| {
        let entered = || {
            let jail = Jail::enter()?;
            let root = jail.detach(root.as_fd(), read_only)?;
            jail.close(Rights::OverFiles)?;
            Ok::<_, JailError>(root)
        };
        match entered() {
            Ok(root) => act(&root),
            Err(error) => launch::Chain(&error).to_string(),
        }
    })
    .said
}

#[test]
fn nothing_is_above_a_share() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "inside").unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let found = with_share(false, &shared, |root| {
        let same = look(root, "") == look(root, "..") && look(root, "").is_some();
        let above = look(root, "../file").is_some();
        let far = look(root, "../../../../../../etc/passwd").is_some();
        format!("{same} {above} {far}")
    });
    assert_eq!(found, "true false false");
}

#[test]
fn a_share_is_written_to_with_roots_rights_unless_it_is_read_only() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let private = dir.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(
        &private,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    for (read_only, expected) in [(false, "Ok(())"), (true, "Err(Os { code: 30")] {
        let made = with_share(read_only, dir.path(), |root| {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            let made = openat(root, "private/file", flags, Mode::RUSR);
            format!("{:?}", made.map(drop).map_err(std::io::Error::from))
        });
        assert!(made.starts_with(expected), "{read_only}: {made}");
    }
}

#[test]
fn a_share_that_is_not_at_its_path_any_more_is_not_taken_along() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (shared, other) = (dir.path().join("shared"), dir.path().join("other"));
    fs::create_dir(&shared).unwrap();
    let root = open(&shared, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    fs::remove_dir(&shared).unwrap();
    fs::create_dir(&other).unwrap();
    let end = in_child(|| {
        let taken = Jail::enter().and_then(|jail| jail.detach(root.as_fd(), false));
        format!("{}", taken.is_ok())
    });
    assert_eq!(end.said, "false");
}
