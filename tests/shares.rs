//! The host's files in an instance: bind mounts and named volumes are the same each way.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use bench::Way;
use harness::nobody::is_root;
use harness::refused::assert_refused;
use harness::{Place, World, can_run, run, see, wait};
use launch::Side;

macro_rules! the_same_each_way {
    ($($promise:ident: $($way:ident $name:ident),*;)*) => {$(
        mod $promise {
            use super::*;
            $(
                #[test]
                fn $name() {
                    if can_run(Way::$way.side()) {
                        let _place = Place::take(Way::$way.side());
                        super::$promise(Way::$way);
                    }
                }
            )*
        }
    )*};
}

the_same_each_way! {
    a_directory_is_the_hosts: Container as_container, VmWarm as_vm, VmCold as_vm_that_boots;
    a_mebibyte_is_read_and_written: Container as_container, VmWarm as_vm;
    a_read_only_share_and_a_single_file_are_what_they_are: Container as_container, VmWarm as_vm;
    no_link_leads_out: Container as_container, VmWarm as_vm;
    a_users_files_are_that_users: Container as_container, VmWarm as_vm;
    a_file_in_it_is_executed_and_mapped: Container as_container, VmWarm as_vm;
    what_the_host_changes_shows: Container as_container, VmWarm as_vm;
}

/// Runs a shell's script; what it said.
fn told(world: &World, way: Way, flags: &[&str], script: &str) -> String {
    let args = [run(way), flags, &["busybox", "sh", "-ec", script]].concat();
    let seen = world.run(args);
    assert_eq!(
        (seen.code, seen.stderr.as_str()),
        (Some(0), ""),
        "{}",
        seen.stdout_text()
    );
    seen.stdout_text()
}

/// A directory of the host's, and how it is mounted at `/d`.
fn shared(world: &World) -> (PathBuf, String) {
    let dir = world.dir().join("shared");
    fs::create_dir(&dir).unwrap();
    let flag = format!("{}:/d", dir.display());
    (dir, flag)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn a_directory_is_the_hosts(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    fs::write(dir.join("host"), "of the host\n").unwrap();
    fs::set_permissions(dir.join("host"), fs::Permissions::from_mode(0o604)).unwrap();
    let script = "cd /d; umask 027
        cat host; stat -c '%a %s %F' host
        echo made > made; stat -c '%a %u %g' made
        mkdir -p a/b; mv made a/b/moved; ln a/b/moved hard; ln -s b/moved a/soft; cat a/soft
        stat -c '%h' hard; touch -d @1000000000 hard
        exec 3> gone 4< gone; rm gone; echo kept >&3; cat <&4
        echo more >> host; head -c 5 /dev/zero > host2; mv host2 replaced
        if rmdir a 2>&-; then echo removed; fi
        chmod 4711 hard; rm a/b/moved; rmdir a/b; ls a
        find . -type f | sort | tr '\\n' ' '";
    let said = told(&world, way, &["-v", &volume], script);
    assert_eq!(
        said,
        "of the host\n604 12 regular file\n640 0 0\nmade\n2\nkept\nsoft\n\
         ./hard ./host ./replaced "
    );
    assert_eq!(text(&dir.join("host")), "of the host\nmore\n");
    assert_eq!(fs::read(dir.join("replaced")).unwrap(), [0; 5]);
    let hard = fs::metadata(dir.join("hard")).unwrap();
    assert_eq!(hard.mode() & 0o7777, 0o4711);
    assert_eq!((hard.mtime(), hard.nlink()), (1_000_000_000, 1));
    assert_eq!(
        fs::read_link(dir.join("a/soft")).unwrap(),
        Path::new("b/moved")
    );
}

fn a_mebibyte_is_read_and_written(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    let big: Vec<u8> = (0..1 << 20)
        .map(|i: u32| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    fs::write(dir.join("big"), &big).unwrap();
    let script = "cd /d; cp big copy; sha256sum big";
    let said = told(&world, way, &["-v", &volume], script);
    assert_eq!(said, format!("{}  big\n", sum_of(&big)));
    assert!(fs::read(dir.join("copy")).unwrap() == big);
}

fn a_read_only_share_and_a_single_file_are_what_they_are(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    fs::write(dir.join("file"), "one\n").unwrap();
    fs::write(world.dir().join("single"), "single\n").unwrap();
    let read_only = format!("{volume}:ro");
    let single = format!("{}/single:/etc/single", world.dir().display());
    let mount = format!(
        "type=bind,src={}/single,dst=/s/read-only,readonly",
        world.dir().display()
    );
    let flags = [
        "--read-only",
        "-v",
        &read_only,
        "-v",
        &single,
        "--mount",
        &mount,
    ];
    let script = "cat /d/file /etc/single /s/read-only; echo two >> /etc/single
        for file in /d/file /d/new /s/read-only; do
            if (echo x > $file) 2>&-; then echo written; fi
        done
        if rm /d/file 2>&-; then echo removed; fi
        grep -c -E ' (/d|/s/read-only) [^ ]+ (.*,)?ro(,.*)?nodev' /proc/mounts";
    let said = told(&world, way, &flags, script);
    assert_eq!(said, "one\nsingle\nsingle\n2\n");
    assert_eq!(text(&dir.join("file")), "one\n");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(text(&world.dir().join("single")), "single\ntwo\n");
}

fn no_link_leads_out(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    let secret = world.dir().join("secret");
    fs::write(&secret, "the host's\n").unwrap();
    symlink(&secret, dir.join("absolute")).unwrap();
    symlink("../secret", dir.join("relative")).unwrap();
    symlink("/etc/passwd", dir.join("passwd")).unwrap();
    let script = format!(
        "cd /d
        for link in absolute relative; do if cat $link 2>&-; then echo read; fi; done
        if grep -q jaula-only-here passwd; then echo the image; fi
        ln -s {} new; mkdir -p {}; echo instance > new; cat new
        cat absolute; ls /d/.. | grep -c secret || :",
        secret.display(),
        world.dir().display()
    );
    let script = format!("echo 'x:x:1:1:jaula-only-here:/:/' >> /etc/passwd; {script}");
    let said = told(&world, way, &["-v", &volume], &script);
    assert_eq!(said, "the image\ninstance\ninstance\n0\n");
    assert_eq!(text(&secret), "the host's\n");
    assert!(!text(Path::new("/etc/passwd")).contains("jaula-only-here"));
}

fn a_users_files_are_that_users(way: Way) {
    if !is_root() {
        return;
    }
    let world = World::new();
    let (dir, volume) = shared(&world);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o2777)).unwrap();
    std::os::unix::fs::chown(&dir, Some(0), Some(77)).unwrap();
    fs::write(dir.join("roots"), "").unwrap();
    fs::set_permissions(dir.join("roots"), fs::Permissions::from_mode(0o600)).unwrap();
    let script = "cd /d; echo x > file; mkdir sub; ln -s x link; mkfifo pipe
        if cat roots 2>&-; then echo read; fi
        stat -c '%n %u %g' file sub link pipe";
    let said = told(&world, way, &["-u", "1234:4321", "-v", &volume], script);
    assert_eq!(
        said,
        "file 1234 77\nsub 1234 77\nlink 1234 77\npipe 1234 77\n"
    );
    for name in ["file", "sub", "link", "pipe"] {
        let found = dir.join(name).symlink_metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 77), "{name}");
    }
    let script = "chown 5:6 /d/file; stat -c '%u %g' /d/file";
    assert_eq!(told(&world, way, &["-v", &volume], script), "5 6\n");
    let found = fs::metadata(dir.join("file")).unwrap();
    assert_eq!((found.uid(), found.gid()), (5, 6));
}

/// This test's binary, which is static, runs in the instance.
fn a_file_in_it_is_executed_and_mapped(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    fs::copy(std::env::current_exe().unwrap(), dir.join("test")).unwrap();
    fs::write(dir.join("mapped"), [b'.'; 8192]).unwrap();
    let command = [
        "busybox",
        "/d/test",
        "--exact",
        "--ignored",
        "--test-threads=1",
        "map_a_file_and_write_to_it",
    ];
    let seen = world.run([run(way), &["-v", &volume], &command].concat());
    assert_eq!(seen.code, Some(0), "{}{}", seen.stdout_text(), seen.stderr);
    let found = fs::read(dir.join("mapped")).unwrap();
    assert_eq!(found.len(), 8192);
    assert_eq!(found[4090..4102], *b"....mapped..");
}

#[test]
#[ignore = "runs in an instance"]
fn map_a_file_and_write_to_it() {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open("/d/mapped")
        .unwrap();
    // SAFETY: a new mapping at an address of the kernel's choice; it is all that is written to,
    // within its 8192 bytes, and unmapped once.
    unsafe {
        let mapped = libc::mmap(
            std::ptr::null_mut(),
            8192,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            std::os::fd::AsRawFd::as_raw_fd(&file),
            0,
        );
        assert_ne!(mapped, libc::MAP_FAILED);
        let bytes = std::slice::from_raw_parts_mut(mapped.cast::<u8>(), 8192);
        assert_eq!(bytes[4095], b'.');
        bytes[4094..4100].copy_from_slice(b"mapped");
        assert_eq!(libc::munmap(mapped, 8192), 0);
    }
    file.sync_all().unwrap();
}

/// By its name at once, and soon to who has the file open.
fn what_the_host_changes_shows(way: Way) {
    let world = World::new();
    let (dir, volume) = shared(&world);
    for (name, what) in [
        ("same-size", "one\n"),
        ("larger", "one\n"),
        ("gone", ""),
        ("open", "one\n"),
    ] {
        fs::write(dir.join(name), what).unwrap();
    }
    let script =
        "cd /d; cat same-size larger gone; ls new 2>&-; exec 3< open; read -r line <&3; echo $line
        echo ready; read go
        cat same-size; stat -c %s larger; cat larger new; ls gone 2>&- || echo gone
        until read -r more <&3; do :; done; echo $more";
    let flags = ["-i", "-v", &volume];
    let args = [run(way), &flags, &["busybox", "sh", "-c", script]].concat();
    let mut child = world.jaula(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("ready\n") && stdout.read_line(&mut said).unwrap() > 0 {}
    assert_eq!(said, "one\none\none\nready\n");
    // In place: the file stays the one that it is.
    let change = |name, what: &str| {
        let file = fs::File::options().write(true).open(dir.join(name));
        file.unwrap().write_all(what.as_bytes()).unwrap();
    };
    change("same-size", "two\n");
    change("larger", "one, two\n");
    change("open", "one\ntwo\n");
    fs::write(dir.join("new"), "new\n").unwrap();
    fs::remove_file(dir.join("gone")).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    said.clear();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(said, "two\n9\none, two\nnew\ngone\ntwo\n");
    assert_eq!(wait(&mut child).code(), Some(0));
}

/// What is asked for most: data in large pieces, and attributes now and then.
#[test]
fn who_reads_a_file_asks_for_little_else() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let (dir, volume) = shared(&world);
    fs::write(dir.join("mebibyte"), vec![b'x'; 1 << 20]).unwrap();
    // Of 4 KiB each.
    let reads = ["dd", "if=/d/mebibyte", "of=/dev/null", "bs=4k"];
    let mut command = world.jaula([run(Way::VmWarm), &["-v", &volume, "busybox"], &reads].concat());
    command.env("JAULA_LOG", "vmm::devices::virtio::fs=trace");
    let started = Instant::now();
    let seen = see(command, b"");
    let at_most_s = started.elapsed().as_secs() as usize + 1;
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    // `FUSE_GETATTR` and `FUSE_READ`.
    let asked = |opcode| seen.stderr.matches(&format!("request {opcode} of")).count();
    let (attributes, data) = (asked(3), asked(15));
    // One a second, and some for what is looked at before.
    assert!(attributes <= at_most_s + 4, "{attributes} in {at_most_s} s");
    assert!((8..=16).contains(&data), "{data}");
}

fn sum_of(bytes: &[u8]) -> String {
    let mut command = std::process::Command::new("/bin/busybox");
    let command = command.arg("sha256sum");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    wait(&mut child);
    said.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_named_volume_is_one_of_containers_and_vms() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let flags = ["-v", "data:/etc"];
    let script = "grep -c ^root: /etc/passwd; echo vm > /etc/of-vm";
    assert_eq!(told(&world, Way::VmWarm, &flags, script), "1\n");
    let script = "cat /etc/of-vm; echo container > /etc/of-container";
    assert_eq!(told(&world, Way::Container, &flags, script), "vm\n");
    let script = "cat /v/of-container";
    assert_eq!(
        told(&world, Way::VmWarm, &["-v", "data:/v:ro"], script),
        "container\n"
    );
}

#[test]
fn a_vm_that_uses_the_hosts_files_is_not_saved_and_goes_on() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let (dir, volume) = shared(&world);
    let script = "echo up; read line; echo $line > /d/file";
    let flags = ["-i", "--name", "sharing", "-v", &volume];
    let args = [run(Way::VmWarm), &flags, &["busybox", "sh", "-c", script]].concat();
    let mut child = world.jaula(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    let seen = world.run(["snapshot", "create", "sharing", "saved"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"went on\n").unwrap();
    drop(stdin);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(text(&dir.join("file")), "went on\n");
    assert_eq!(seen.code, Some(125));
    assert!(
        seen.stderr.contains("files of the host's") && seen.stderr.contains("--volume"),
        "{}",
        seen.stderr
    );
}

#[test]
fn what_a_vm_can_not_share_is_refused_by_its_name() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let seen = world.run(["run", "--as", "vm", "-v", "/dev/null:/d", "busybox", "true"]);
    let says = [
        "/dev/null",
        "neither a file nor a directory",
        "--as container",
    ];
    assert_refused(&world, &seen, &says);
}
