//! What an ordinary user can do, with more users and groups than its own and without.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::ann::{Ann, Delegation, FIRST, ID, Ranges};
use harness::oci::{Layout, busybox, write};
use harness::refused::{assert_not_done, assert_refused};
use harness::{see, wait};

/// An image whose files have several owners, and whose users are in several groups; an archive
/// that she may read.
fn archive(ann: &Ann) -> String {
    let mut layout = Layout::new(ann.world.dir());
    layout.layer(|root| {
        busybox(root);
        write(
            root,
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n",
        );
        write(
            root,
            "etc/group",
            "root:x:0:\napp:x:1001:\nextra:x:2000:app\n",
        );
        write(root, "srv/private/key", "secret");
        for path in ["srv", "srv/private", "srv/private/key"] {
            chown(root.join(path), Some(1000), Some(1001)).unwrap();
        }
        for (path, mode) in [("srv/private", 0o700), ("srv/private/key", 0o600)] {
            fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
        }
    });
    layout.layer(|root| {
        write(root, "srv/two", "");
        chown(root.join("srv/two"), Some(33), Some(34)).unwrap();
        fs::remove_file(root.join("srv/private/key")).unwrap();
        write(root, "srv/private/new", "");
        chown(root.join("srv/private/new"), Some(1000), Some(1001)).unwrap();
    });
    let file = ann.world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:several:1", file.display()));
    ann.show(&file);
    file.to_str().unwrap().to_owned()
}

/// Her, with that image in her store.
fn ann_with_image(ranges: Ranges) -> Option<Ann> {
    if !Layout::can_be_made() {
        return None;
    }
    let ann = Ann::new(ranges)?;
    let file = archive(&ann);
    let loaded = ann.run(&["load", "-i", &file]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    Some(ann)
}

const OWNERS: &str = "stat -c '%n %u:%g' /bin/sh /srv/two /srv/private /srv/private/*";

#[test]
fn files_of_an_image_have_their_owners() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    assert_eq!(
        ann.says(&["run", "several:1", "sh", "-c", OWNERS]),
        "/bin/sh 0:0\n/srv/two 33:34\n/srv/private 1000:1001\n/srv/private/new 1000:1001\n"
    );
    ann.world.assert_no_traces();
}

#[test]
fn a_user_of_the_image_is_found_by_name_and_has_its_groups() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    let script = "id; cat /srv/private/new; echo > /srv/mine; stat -c %u:%g /srv/mine";
    assert_eq!(
        ann.says(&["run", "-u", "app", "several:1", "sh", "-c", script]),
        "uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)\n1000:1001\n"
    );
    assert_eq!(
        ann.says(&[
            "run",
            "-u",
            "5:6",
            "--group-add",
            "extra",
            "several:1",
            "id"
        ]),
        "uid=5 gid=6 groups=6,2000(extra)\n"
    );
}

#[test]
fn root_of_a_container_gives_files_away_and_becomes_others() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    let script =
        "echo > /f; busybox chown app:extra /f; stat -c %u:%g /f; busybox su app -c 'id -u'";
    assert_eq!(
        ann.says(&["run", "several:1", "sh", "-c", script]),
        "1000:2000\n1000\n"
    );
}

#[test]
fn removing_an_image_removes_files_of_others() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    let layers = ann.world.dir().join("data/images/layers");
    assert_eq!(fs::read_dir(&layers).unwrap().count(), 2);
    let removed = ann.run(&["rmi", "several:1"]);
    assert_eq!((removed.code, removed.stderr.as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(&layers).unwrap().count(), 0);
}

#[test]
fn half_a_layer_with_files_of_others_is_swept() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    let half = ann
        .world
        .dir()
        .join("data/images/layers")
        .join(format!(".making-{}", "0".repeat(64)));
    for (dir, owner) in [(half.clone(), ID), (half.join("tree"), FIRST + 7)] {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), "").unwrap();
        chown(&dir, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    }
    ann.says(&["run", "busybox", "true"]);
    assert!(!half.exists());
}

#[test]
fn without_ranges_all_files_are_the_callers_and_that_is_said() {
    if !Layout::can_be_made() {
        return;
    }
    let Some(ann) = Ann::new(Ranges::None) else {
        return;
    };
    let file = archive(&ann);
    let loaded = ann.run(&["load", "-i", &file]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    assert_eq!(loaded.stderr.lines().count(), 1, "{}", loaded.stderr);
    assert!(
        loaded.stderr.contains("all belong to you"),
        "{}",
        loaded.stderr
    );
    let said = ann.says(&["run", "several:1", "sh", "-c", OWNERS]);
    assert!(said.lines().all(|line| line.ends_with(" 0:0")), "{said}");
    // Another number is another name for the same user.
    assert_eq!(
        ann.says(&["run", "-u", "7:8", "several:1", "id"]),
        "uid=7 gid=8\n"
    );
}

#[test]
fn without_ranges_groups_of_the_image_are_noted_and_others_refused() {
    let Some(ann) = ann_with_image(Ranges::None) else {
        return;
    };
    let seen = ann.run(&["run", "-u", "app", "several:1", "id"]);
    assert_eq!(seen.stdout_text(), "uid=1000(app) gid=1001(app)\n");
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    assert!(seen.stderr.contains("groups"), "{}", seen.stderr);
    let seen = ann.run(&["run", "--group-add", "7", "several:1", "id"]);
    assert_refused(&ann.world, &seen, &["groups", "jaula doctor"]);
}

#[test]
fn a_store_is_not_mixed_up_when_the_ranges_change() {
    for (before, after) in [(Ranges::Given, Ranges::None), (Ranges::None, Ranges::Given)] {
        let Some(ann) = ann_with_image(before) else {
            return;
        };
        ann.give(after);
        let names = ["images", "/etc/subuid", "JAULA_DATA_DIR"];
        let run = ann.run(&["run", "several:1", "true"]);
        assert_refused(&ann.world, &run, &names);
        assert_not_done(&ann.run(&["rmi", "several:1"]), &names);
        ann.give(before);
        ann.says(&["run", "several:1", "true"]);
    }
}

#[test]
fn a_user_beyond_the_ranges_is_refused() {
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let seen = ann.run(&["run", "-u", "70000", "busybox", "true"]);
    assert_refused(&ann.world, &seen, &["user", "/etc/subuid"]);
}

#[test]
fn an_owner_beyond_the_ranges_is_refused() {
    if !Layout::can_be_made() {
        return;
    }
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let mut layout = Layout::new(ann.world.dir());
    layout.layer(|root| {
        write(root, "far", "");
        chown(root.join("far"), Some(70_000), Some(0)).unwrap();
    });
    ann.show(Path::new(layout.path()));
    let source = format!("oci:{}", layout.path());
    let seen = ann.run(&["run", &source, "true"]);
    assert_refused(&ann.world, &seen, &["far", "user 70000", "/etc/subuid"]);
}

#[test]
fn what_newuidmap_refuses_is_told_in_its_words() {
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let bin = ann.world.dir().join("bin");
    fs::create_dir(&bin).unwrap();
    let fake = bin.join("newuidmap");
    fs::write(
        &fake,
        "#!/bin/sh\necho first >&2\necho not today >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&fake, Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = ann.jaula(&["run", "busybox", "true"]);
    command.env("PATH", format!("{}:{path}", bin.display()));
    let seen = see(command, b"");
    assert_refused(&ann.world, &seen, &["newuidmap", "not today", "uidmap"]);
}

#[test]
fn a_volume_shows_the_callers_files_as_roots_and_others_as_theirs() {
    let Some(ann) = ann_with_image(Ranges::Given) else {
        return;
    };
    let dir = ann.directory("volume");
    let volume = format!("{}:/v", dir.display());
    let script = "echo > /v/a; echo > /v/b; busybox chown app:app /v/b; stat -c %u:%g /v /v/a /v/b";
    assert_eq!(
        ann.says(&["run", "-v", &volume, "several:1", "sh", "-c", script]),
        "0:0\n0:0\n1000:1001\n"
    );
    let owner = |name: &str| {
        let metadata = fs::metadata(dir.join(name)).unwrap();
        (metadata.uid(), metadata.gid())
    };
    assert_eq!(owner("a"), (ID, ID));
    assert_eq!(owner("b"), (FIRST + 999, FIRST + 1000));
    let seen = ann.run(&[
        "run",
        "-u",
        "app",
        "-v",
        &volume,
        "several:1",
        "sh",
        "-c",
        "> /v/c",
    ]);
    assert!(seen.stderr.contains("Permission denied"), "{}", seen.stderr);
}

#[test]
fn a_directory_of_the_caller_is_a_root_of_roots() {
    for ranges in [Ranges::Given, Ranges::None] {
        let Some(ann) = Ann::new(ranges) else {
            return;
        };
        let root = ann.directory("root");
        busybox(&root);
        for path in ["bin", "bin/busybox", "etc"] {
            chown(root.join(path), Some(ID), Some(ID)).unwrap();
        }
        let args = [
            "run",
            "--rootfs",
            root.to_str().unwrap(),
            "stat",
            "-c",
            "%u:%g",
        ];
        let said = ann.says(&[&args[..], &["/", "/etc", "/bin/busybox"]].concat());
        assert_eq!(said, "0:0\n0:0\n0:0\n");
    }
}

#[test]
fn what_root_can_ask_of_files_the_user_can_ask() {
    for ranges in [Ranges::Given, Ranges::None] {
        let Some(ann) = Ann::new(ranges) else {
            return;
        };
        let flags = [
            "run",
            "--read-only",
            "--tmpfs",
            "/t",
            "--device",
            "/dev/zero:/dev/given",
        ];
        let script = "> /t/f && echo tmpfs; > /f || head -c 3 /dev/given | wc -c";
        let seen = ann.run(&[&flags[..], &["busybox", "sh", "-c", script]].concat());
        assert_eq!(seen.stdout_text(), "tmpfs\n3\n", "{}", seen.stderr);
        assert!(seen.stderr.contains("Read-only"), "{}", seen.stderr);
        let given = see(ann.jaula(&["run", "-i", "busybox", "cat"]), b"typed");
        assert_eq!(given.stdout_text(), "typed", "{}", given.stderr);
        ann.world.assert_no_traces();
    }
}

#[test]
fn no_device_node_can_be_made_that_opens_anything() {
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let script = "mknod /n c 1 5 && head -c 1 /n";
    let args = ["run", "--cap-add", "ALL", "busybox", "sh", "-c", script];
    assert_ne!(ann.run(&args).code, Some(0));
}

#[test]
fn a_published_port_leads_in_and_nothing_is_left() {
    if Command::new("pasta").arg("--version").output().is_err()
        || !Path::new("/dev/net/tun").exists()
    {
        eprintln!("SKIPPED: needs pasta and /dev/net/tun");
        return;
    }
    for ranges in [Ranges::Given, Ranges::None] {
        let Some(ann) = Ann::new(ranges) else {
            return;
        };
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let port = format!("{}:80", address.port());
        let script = "echo hello | nc -l -p 80";
        let mut child = ann
            .jaula(&["run", "-p", &port, "busybox", "sh", "-c", script])
            .spawn()
            .unwrap();
        let said = ask(address);
        wait(&mut child);
        assert_eq!(said, "hello\n");
        ann.world.assert_no_traces();
    }
}

/// What is said there, once somebody says anything.
fn ask(address: SocketAddr) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut said = String::new();
    while said.is_empty() && Instant::now() < deadline {
        if let Ok(mut stream) = TcpStream::connect(address) {
            // One whose other end is gone by now is tried again.
            let _ = stream.write_all(b"?\n");
            let _ = stream.read_to_string(&mut said);
        }
        thread::sleep(Duration::from_millis(50));
    }
    said
}

#[test]
fn limits_without_delegation_say_what_to_do() {
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let seen = ann.run(&["run", "-m", "64m", "busybox", "true"]);
    assert_refused(&ann.world, &seen, &["memory", "delegated"]);
}

#[test]
fn limits_hold_in_cgroups_that_were_delegated() {
    for ranges in [Ranges::Given, Ranges::None] {
        let (Some(ann), Some(delegation)) = (Ann::new(ranges), Delegation::of(&["memory", "pids"]))
        else {
            return;
        };
        let flags = [
            "run",
            "-m",
            "64m",
            "--pids-limit",
            "5",
            "busybox",
            "sh",
            "-c",
        ];
        let run = |script| {
            let mut command = ann.jaula(&[&flags[..], &[script]].concat());
            delegation.apply(&mut command);
            see(command, b"")
        };
        let hungry = run("exec tail -c 100m /dev/zero");
        assert_eq!(hungry.code, Some(137));
        assert!(hungry.stderr.contains("memory"), "{}", hungry.stderr);
        let many = run("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait");
        assert!(many.stderr.contains("fork"), "{}", many.stderr);
        let modest = run("echo modest");
        let seen = (modest.code, modest.stdout_text(), modest.stderr.as_str());
        assert_eq!(seen, (Some(0), "modest\n".to_owned(), ""));
        ann.world.assert_no_traces();
    }
}

#[test]
fn doctor_counts_users_and_names_what_is_missing() {
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let said = ann.run(&["doctor"]).stdout_text();
    assert!(
        said.contains("✓ users") && said.contains("65537 users and 65537 groups"),
        "{said}"
    );
    assert!(said.contains("user network"), "{said}");
    ann.give(Ranges::None);
    let said = ann.run(&["doctor"]).stdout_text();
    assert!(
        said.contains("! users") && said.contains("usermod --add-subuids"),
        "{said}"
    );
}
