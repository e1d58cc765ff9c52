//! Images that other tools made, from the file to the running command.

#![allow(clippy::unwrap_used)]

mod harness;
#[path = "images/sha512.rs"]
mod sha512;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bench::Way;
use harness::nobody::{is_root, run_as_nobody};
use harness::oci::{Layout, busybox, write};
use harness::refused::{assert_not_done, assert_refused};
use harness::{Place, Seen, World, can_run, run, see, wait};
use launch::Side;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use rustix::fs::{XattrFlags, getxattr, setxattr};

/// Three layers with all that a layer can do to those beneath it.
fn eventful(world: &World) -> Layout {
    let mut layout = Layout::new(world.dir());
    layout.layer(|root| {
        busybox(root);
        write(root, "removed/file", "");
        write(root, "emptied/old", "");
        write(root, "replaced/by-a-file", "");
        write(root, "changed", "old");
        write(root, "kept", "kept");
        write(root, "strict/secret", "secret");
        fs::set_permissions(root.join("strict"), Permissions::from_mode(0o711)).unwrap();
    });
    layout.layer(|root| {
        fs::remove_dir_all(root.join("removed")).unwrap();
        fs::remove_dir_all(root.join("emptied")).unwrap();
        write(root, "emptied/new", "");
        fs::remove_dir_all(root.join("replaced")).unwrap();
        write(root, "replaced", "a file");
        write(root, "changed", "new");
        fs::hard_link(root.join("changed"), root.join("linked")).unwrap();
        // Nothing is said of the directory that it lies in.
        fs::write(root.join("strict/secret"), "changed").unwrap();
    });
    layout.layer(|root| {
        write(
            root,
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/w:/bin/sh\n",
        );
    });
    layout
}

/// VFS_CAP_REVISION_2 with some capabilities, include/uapi/linux/capability.h. A byte of it is a line
/// feed, at which whoever reads archives carelessly cuts the value.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x24, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const LOOK: &str = "ls -d /removed; ls /emptied; cat /replaced /changed /kept /linked; echo; \
    stat -c %a /strict; stat -c '%a %h' /changed";

const SEEN: &str = "new\na filenewkeptnew\n711\n644 2\n";

fn looks_right(seen: &Seen) {
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_eq!(seen.stdout_text(), SEEN);
    let missing = "ls: /removed: No such file or directory\n";
    assert_eq!(seen.stderr, missing);
}

#[test]
fn layers_lie_on_each_other_in_a_container() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let image = format!("oci:{}:image", layout.path());
    looks_right(&world.run(["run", &image, "sh", "-c", LOOK]));
    let seen = world.run(["run", "-u", "web", &image, "id"]);
    assert_eq!(seen.stdout_text(), "uid=33(web) gid=34 groups=34\n");
}

#[test]
fn layers_lie_on_each_other_in_a_vm() {
    let way = Way::VmWarm;
    if !Layout::can_be_made() || !can_run(way.side()) {
        return;
    }
    let _place = Place::take(way.side());
    let world = World::new();
    let layout = eventful(&world);
    let image = format!("oci:{}", layout.path());
    let args = [run(way), &["-u", "web", &image, "sh", "-c", LOOK]].concat();
    looks_right(&world.run(args));
}

#[test]
fn an_archive_is_loaded_listed_run_and_removed() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let archive = world.dir().join("image.tar");
    let archive = archive.to_str().unwrap();
    layout.copy_to(&format!("docker-archive:{archive}:example.org/eventful:1"));

    let loaded = world.run(["load", "-i", archive]);
    assert_eq!(
        loaded.stdout_text(),
        "Loaded image: example.org/eventful:1\n"
    );
    assert_eq!((loaded.code, loaded.stderr.as_str()), (Some(0), ""));
    let listed = world.run(["images"]).stdout_text();
    let line = listed.lines().nth(1).unwrap();
    assert!(
        line.starts_with("example.org/eventful   1     "),
        "{listed}"
    );
    let id = world.run(["images", "-q"]).stdout_text();
    let json = world
        .run(["images", "--format", "json", "*/eventful"])
        .stdout_text();
    assert!(
        json.contains(r#""Repository":"example.org/eventful","Tag":"1""#),
        "{json}"
    );
    let other = world.run(["images", "-q", "-f", "reference=eventful"]);
    assert_eq!((other.code, other.stdout_text().as_str()), (Some(0), ""));

    looks_right(&world.run(["run", "example.org/eventful:1", "sh", "-c", LOOK]));
    looks_right(&world.run(["run", id.trim(), "sh", "-c", LOOK]));
    looks_right(&world.run([
        "run",
        &format!("docker-archive:{archive}"),
        "sh",
        "-c",
        LOOK,
    ]));

    let removed = world.run(["rmi", "example.org/eventful:1"]).stdout_text();
    let begins = format!(
        "Untagged: example.org/eventful:1\nDeleted: sha256:{}",
        id.trim()
    );
    assert!(removed.starts_with(&begins), "{removed}");
    assert_eq!(layers(&world), Vec::<PathBuf>::new());
    let seen = world.run(["run", "--pull", "never", "example.org/eventful:1"]);
    assert_refused(&world, &seen, &["example.org/eventful:1", "jaula images"]);
}

/// Loads images without layers, each with its name and the moment at which it says it was made.
fn load_dated(world: &World, images: &[(&str, &str)]) {
    let layout = Layout::new(world.dir());
    for (name, created) in images {
        layout.config(&[&format!("--created={created}")]);
        let archive = world.dir().join(name);
        let archive = archive.to_str().unwrap();
        layout.copy_to(&format!("docker-archive:{archive}:{name}"));
        let loaded = world.run(["load", "-i", archive]);
        assert_eq!(loaded.code, Some(0), "{loaded:?}");
    }
}

#[test]
fn images_are_listed_by_what_was_made_before_and_after_them() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let dates = [
        ("first", "2026-01-01T00:30:00+01:00"),
        ("second", "2026-01-01T00:00:00Z"),
        ("third", "2026-01-01T00:00:00-01:00"),
    ];
    load_dated(&world, &dates);
    let second = world.run(["images", "-q", "second"]).stdout_text();
    let by_id = format!("since={}", second.trim());
    for (filters, expected) in [
        (&["before=second"][..], &["first"][..]),
        (&["since=second:latest"], &["third"]),
        (&[&by_id], &["third"]),
        (&["since=first", "before=third"], &["second"]),
        (&["since=first", "since=second"], &["third"]),
        (&["before=second", "before=third"], &["first"]),
        (&["since=third"], &[]),
    ] {
        let flags = filters.iter().flat_map(|filter| ["--filter", filter]);
        let listed = world.run(["images"].into_iter().chain(flags));
        let text = listed.stdout_text();
        let names = text.lines().skip(1);
        let names: Vec<_> = names
            .flat_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(names, expected, "{filters:?}: {}", listed.stderr);
    }
    let missing = world.run(["images", "-f", "before=fourth"]);
    assert_not_done(&missing, &["fourth", "jaula images"]);
}

#[test]
fn what_cant_be_removed_keeps_nothing_else_from_being() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let date = "2026-01-01T00:00:00Z";
    load_dated(&world, &[("one", date), ("two", date)]);
    let removed = world.run(["rmi", "one", "three", "two", "four"]);
    assert_eq!(removed.code, Some(1), "{removed:?}");
    let told: Vec<_> = removed.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("three") && told[1].contains("four"));
    assert_eq!(world.run(["images", "-q"]).stdout_text(), "");
}

#[test]
fn an_image_for_another_processor_is_run_as_far_as_it_goes() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(|root| {
        busybox(root);
        let mut program = fs::read("/bin/busybox").unwrap();
        // e_machine of ELF's header (elf(5)): EM_S390, which is big-endian.
        program[18..20].copy_from_slice(&22u16.to_le_bytes());
        let foreign = root.join("bin/foreign");
        fs::write(&foreign, program).unwrap();
        fs::set_permissions(&foreign, Permissions::from_mode(0o755)).unwrap();
    });
    layout.config(&["--architecture=s390x"]);
    let image = format!("oci:{}", layout.path());
    for (program, code, lines) in [("true", 0, 1), ("/bin/foreign", 126, 2)] {
        let seen = world.run(["run", &image, program]);
        assert_eq!(seen.code, Some(code), "{seen:?}");
        let told: Vec<_> = seen.stderr.lines().collect();
        assert_eq!(told.len(), lines, "{told:?}");
        assert!(told[0].contains("is for s390x"), "{told:?}");
    }
}

#[test]
fn an_archive_comes_over_standard_input_compressed_or_not() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("oci-archive:{}:image", archive.display()));
    let mut command = world.jaula(["run", "-", "sh", "-c", LOOK]);
    command.stdin(File::open(&archive).unwrap());
    looks_right(&see(command, b""));
    let zipped = see(
        world.command("gzip", ["-c", archive.to_str().unwrap()]),
        b"",
    );
    let loaded = see(world.jaula(["load"]), &zipped.stdout);
    assert!(
        loaded.stdout_text().starts_with("Loaded image ID: sha256:"),
        "{loaded:?}"
    );
}

#[test]
fn what_the_image_says_holds_unless_something_else_is_asked_for() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    layout.config(&[
        "--config.entrypoint=sh",
        "--config.entrypoint=-c",
        "--config.cmd=id -u; pwd; echo $A $PATH",
        "--config.env=A=image",
        "--config.env=PATH=/bin",
        "--config.workingdir=/emptied",
        "--config.user=web",
    ]);
    let image = format!("oci:{}", layout.path());
    let said = |flags: &[&str], words: &[&str]| {
        let args = [&["run"], flags, &[image.as_str()], words].concat();
        let seen = world.run(args);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
        seen.stdout_text()
    };
    assert_eq!(said(&[], &[]), "33\n/emptied\nimage /bin\n");
    assert_eq!(
        said(&["-u", "0", "-w", "/etc", "-e", "A=flag"], &[]),
        "0\n/etc\nflag /bin\n"
    );
    assert_eq!(said(&[], &["echo $0", "x"]), "x\n");
    assert_eq!(said(&["--entrypoint", "pwd"], &[]), "/emptied\n");
}

#[test]
fn owners_attributes_devices_and_pipes_come_through() {
    if !Layout::can_be_made() || !is_root() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(|root| {
        busybox(root);
        write(root, "owned", "");
        chown(root.join("owned"), Some(100_000), Some(33)).unwrap();
        fs::set_permissions(root.join("owned"), Permissions::from_mode(0o4755)).unwrap();
        let flags = XattrFlags::empty();
        setxattr(
            root.join("owned"),
            "security.capability",
            &CAPABILITY,
            flags,
        )
        .unwrap();
        setxattr(root.join("owned"), "user.note", b"hello", flags).unwrap();
        let mode = Mode::from_bits_truncate(0o620);
        mknod(&root.join("null"), SFlag::S_IFCHR, mode, makedev(1, 3)).unwrap();
        mkfifo(&root.join("pipe"), mode).unwrap();
    });
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:owned", archive.display()));
    let loaded = world.run(["load", "-i", archive.to_str().unwrap()]);
    assert_eq!((loaded.code, loaded.stderr.as_str()), (Some(0), ""));
    let tree = layers(&world).remove(0).join("tree");
    let owned = fs::metadata(tree.join("owned")).unwrap();
    assert_eq!((owned.uid(), owned.gid()), (100_000, 33));
    let attribute = |name| {
        let mut value = [0; 64];
        let length = getxattr(tree.join("owned"), name, &mut value).unwrap();
        value[..length].to_vec()
    };
    assert_eq!(attribute("security.capability"), CAPABILITY);
    assert_eq!(attribute("user.note"), b"hello");
    let script = "stat -c '%u %g %a' /owned; stat -c '%F %t %T' /null /pipe";
    let seen = world.run(["run", "owned", "sh", "-c", script]);
    assert_eq!(
        seen.stdout_text(),
        "100000 33 4755\ncharacter special file 1 3\nfifo 0 0\n"
    );
}

#[test]
fn an_ordinary_user_runs_an_image_whose_files_it_then_owns() {
    if !Layout::can_be_made() || !is_root() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:eventful", archive.display()));
    fs::set_permissions(&archive, Permissions::from_mode(0o644)).unwrap();
    let loaded = run_as_nobody(&world, &["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(
        loaded.stdout_text(),
        "Loaded image: eventful:latest\n",
        "{}",
        loaded.stderr
    );
    looks_right(&run_as_nobody(
        &world,
        &["run", "eventful", "sh", "-c", LOOK],
    ));
}

/// Debian's tools make such images: whoever runs them sees another `/dev`.
#[test]
fn an_ordinary_user_may_have_an_image_with_devices_in_its_dev_and_nowhere_else() {
    if !Layout::can_be_made() || !is_root() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    let archive = |layout: &Layout, name: &str| {
        let path = world.dir().join(name);
        layout.copy_to(&format!("docker-archive:{}:{name}", path.display()));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let node = |root: &Path, path: &str| {
        let mode = Mode::from_bits_truncate(0o666);
        mknod(&root.join(path), SFlag::S_IFCHR, mode, makedev(1, 3)).unwrap();
    };
    layout.layer(|root| {
        busybox(root);
        fs::create_dir_all(root.join("dev")).unwrap();
        node(root, "dev/null");
    });
    let in_dev = archive(&layout, "in-dev");
    layout.layer(|root| node(root, "null"));
    let elsewhere = archive(&layout, "elsewhere");

    let loaded = run_as_nobody(&world, &["load", "-q", "-i", &in_dev]);
    assert_eq!(loaded.code, Some(0), "{loaded:?}");
    let run = run_as_nobody(&world, &["run", "in-dev", "sh", "-c", "echo > /dev/null"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let refused = run_as_nobody(&world, &["load", "-q", "-i", &elsewhere]);
    let said = "null: it is a device node, which only root of the host may make";
    assert_eq!(refused.code, Some(125));
    assert!(refused.stderr.contains(said), "{refused:?}");
}

#[test]
fn an_image_that_runs_is_not_removed() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(busybox);
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:busy", archive.display()));
    world.run(["load", "-i", archive.to_str().unwrap()]);
    let mut command = world.jaula(["run", "-i", "busy", "cat"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It holds the image before it makes the instance's directory.
    while fs::read_dir(world.run_dir()).map_or(0, |dir| dir.count()) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    let refused = world.run(["rmi", "busy"]);
    assert_not_done(&refused, &["is in use"]);
    drop(child.stdin.take());
    assert!(wait(&mut child).success());
    assert_eq!(world.run(["rmi", "busy"]).code, Some(0));
}

/// Killed at many moments, `load` leaves nothing that runs by half, and the next one succeeds.
#[test]
fn a_load_may_be_killed_at_any_moment() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:killed", archive.display()));
    let archive = archive.to_str().unwrap();
    for after_ms in (0..60).step_by(4) {
        let mut load = world.jaula(["load", "-i", archive]).spawn().unwrap();
        thread::sleep(Duration::from_millis(after_ms));
        load.kill().unwrap();
        let done = load.wait().unwrap().success();
        let seen = world.run([
            "run", "--pull", "never", "killed", "cat", "/kept", "/changed",
        ]);
        if seen.code == Some(0) {
            assert_eq!(seen.stdout_text(), "keptnew");
        } else {
            assert!(
                !done && seen.stderr.contains("there is no image"),
                "{}",
                seen.stderr
            );
        }
        if after_ms % 8 == 0 && seen.code == Some(0) {
            assert_eq!(world.run(["rmi", "killed"]).code, Some(0));
        }
    }
    assert_eq!(world.run(["load", "-i", archive]).code, Some(0));
    looks_right(&world.run(["run", "killed", "sh", "-c", LOOK]));
    let unfinished = |path: &PathBuf| path.to_string_lossy().contains(".making-");
    assert!(!layers(&world).iter().any(unfinished));
}

#[test]
fn loads_at_once_do_not_disturb_each_other() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let layout = eventful(&world);
    let archive = world.dir().join("image.tar");
    layout.copy_to(&format!("docker-archive:{}:shared", archive.display()));
    let archive = archive.to_str().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let loaded = world.run(["load", "-q", "-i", archive]);
                assert_eq!(loaded.stdout_text(), "shared:latest\n", "{}", loaded.stderr);
            });
        }
    });
    assert_eq!(layers(&world).len(), 3);
    looks_right(&world.run(["run", "shared", "sh", "-c", LOOK]));
}

#[test]
fn an_image_that_is_too_large_is_refused_until_it_is_allowed() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(|root| {
        busybox(root);
        let zeros = File::create(root.join("zeros")).unwrap();
        zeros.set_len(8 << 20).unwrap();
    });
    let image = format!("oci:{}", layout.path());
    let refused = world.run(["run", "--max-unpacked", "8m", &image, "true"]);
    assert_refused(
        &world,
        &refused,
        &["more than 8388608 bytes", "--max-unpacked"],
    );
    let refused = world.run(["run", "--max-files", "5", &image, "true"]);
    assert_refused(&world, &refused, &["more than 5 files", "--max-files"]);
    assert_eq!(layers(&world), Vec::<PathBuf>::new());
    let seen = world.run(["run", "--max-unpacked", "32m", &image, "true"]);
    assert_eq!(seen.stderr, "");
}

#[test]
fn a_damaged_layout_is_refused_by_what_is_wrong_with_it() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(busybox);
    let blobs = Path::new(layout.path()).join("blobs/sha256");
    let largest = fs::read_dir(blobs)
        .unwrap()
        .map(|entry| entry.unwrap())
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap()
        .path();
    let blob = fs::read(&largest).unwrap();
    let image = format!("oci:{}", layout.path());
    let refused = |said: &[&str]| {
        let seen = world.run(["run", &image, "true"]);
        assert_refused(&world, &seen, said);
        assert_eq!(layers(&world), Vec::<PathBuf>::new());
    };
    fs::write(&largest, &blob[..blob.len() / 2]).unwrap();
    refused(&["can't load", "layer"]);
    let mut other = blob.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&largest, &other).unwrap();
    refused(&["can't load", "layer"]);
    fs::remove_file(&largest).unwrap();
    refused(&["can't load", "is missing in it"]);
}

/// The layers that are in the store.
fn layers(world: &World) -> Vec<PathBuf> {
    let dir = world.dir().join("data/images/layers");
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_program_of_this_machine_runs_either_way_with_nothing_but_its_libraries() {
    let world = World::new();
    let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 9) SELECT sum(x) FROM c";
    for side in [Side::Container, Side::Vm] {
        if !can_run(side) {
            continue;
        }
        let side = side.to_string();
        let seen = world.run(["run", "--as", &side, "program:sqlite3", ":memory:", sql]);
        assert_eq!(
            (seen.code, seen.stdout_text().as_str()),
            (Some(0), "45\n"),
            "{}",
            seen.stderr
        );
    }
    let seen = world.run(["run", "program:no-such-program"]);
    assert_eq!(seen.code, Some(125));
    assert_eq!(
        seen.stderr,
        "jaula: there is no program no-such-program on this machine; install the package that has it\n"
    );
}
