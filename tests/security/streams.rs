//! What a command could do with the streams that it has.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use crate::harness::nobody::{is_root, nobodys_jaula};
use crate::harness::refused::assert_refused;
use crate::harness::{JAULA, Seen, World, see};

/// Runs a script with these flags in a container whose streams are set up by a shell, with
/// `redirections` of files in the world's directory.
fn redirected(world: &World, flags: &str, script: &str, redirections: &str) -> Seen {
    let line = format!("cd \"$2\"; exec \"$0\" run {flags} busybox sh -c \"$1\" {redirections}");
    let dir = world.dir().to_str().unwrap();
    see(world.command("sh", ["-c", &line, JAULA, script, dir]), b"")
}

/// Root is the owner of the host's `/dev/null`, and could close it to everybody through a
/// descriptor of it.
#[test]
fn the_null_device_of_a_stream_is_the_containers_own() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let host = fs::metadata("/dev/null").unwrap();
    // Not into another file while the shell's own streams are looked at.
    let script = "for n in 0 1 2; do s=$s$(stat -L -c %t:%T:%d:%i, /proc/1/fd/$n); done; \
                  echo $s$(stat -c %t:%T:%d:%i /dev/null) > /v/said";
    let volume = world.dir().join("v");
    fs::create_dir(&volume).unwrap();
    let flags = format!("-i -v {}:/v", volume.display());
    let seen = redirected(&world, &flags, script, "< /dev/null > /dev/null 2>&1");
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let said = fs::read_to_string(volume.join("said")).unwrap();
    let mut said: Vec<_> = said.trim().split(',').collect();
    assert_eq!(said.len(), 4, "{said:?}");
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_ne!(said, [format!("1:3:{}:{}", host.dev(), host.ino())]);
}

/// A directory that is a stream leads to all that is around it (as CVE-2024-21626 does by a
/// descriptor that leaked).
#[test]
fn cve_2024_21626_no_directory_is_a_stream() {
    for (flags, redirection, name) in [
        ("-i", "< /", "standard input"),
        ("", "> /dev/null 2< /", "standard error"),
    ] {
        let world = World::new();
        let seen = redirected(&world, flags, "ls /proc/self/fd/0/", redirection);
        match name {
            "standard input" => assert_refused(&world, &seen, &[name, "directory"]),
            // Nobody can be told why.
            _ => assert_eq!(seen.code, Some(125), "{seen:?}"),
        }
    }
}

/// What the command may only read, root could open once more, through `/proc`, to write to it.
#[test]
fn a_file_that_is_read_from_is_not_written_to() {
    let world = World::new();
    let file = world.dir().join("file");
    fs::write(&file, "kept\n").unwrap();
    let script = "cat; echo changed > /proc/self/fd/0; chmod 777 /proc/self/fd/0; true";
    let seen = redirected(&world, "-i", script, "< file 2> /dev/null");
    assert_eq!(seen.stdout_text(), "kept\n", "{seen:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept\n");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
}

/// Of a file that the command's output goes to, root could make a set-user-ID program, for a user
/// of the host's to run; and it could change what others had written there before.
#[test]
fn a_file_that_is_written_to_is_nothing_else() {
    let world = World::new();
    let file = world.dir().join("file");
    fs::write(&file, "before\n").unwrap();
    let script = "echo out; echo err >&2; chmod 6755 /proc/self/fd/1; \
                  : > /proc/self/fd/1; test -f /proc/self/fd/1 && cat /proc/self/fd/1; \
                  echo again";
    let seen = redirected(&world, "", script, ">> file 2>&1");
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "before\nout\nerr\nagain\n"
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o644);
}

/// An ordinary user's container has nothing of the user's either.
#[test]
fn an_ordinary_users_files_are_no_streams() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let jaula = nobodys_jaula(&world);
    let file = world.dir().join("file");
    fs::write(&file, "kept\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let script = "cat; echo changed > /proc/self/fd/0; true";
    let setpriv = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let args = ["run", "-i", "busybox", "sh", "-c", script];
    let args = [&setpriv[..], &[jaula.to_str().unwrap()], &args].concat();
    let mut command = world.command("setpriv", args);
    command.env("JAULA_CACHE_DIR", world.dir().join("cache"));
    // Which it could open to write, too.
    let stdin: OwnedFd = File::open(&file).unwrap().into();
    command.stdin(Stdio::from(stdin));
    let child = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&child.stdout),
        "kept\n",
        "{child:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept\n");
}

/// A disk that is full is told of, though it is not the command that writes to it.
#[test]
fn output_that_can_not_be_written_is_told_of() {
    let world = World::new();
    let mut command = world.jaula(["run", "busybox", "echo", "said"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdout(full);
    let child = command.spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(
        said.contains("output can't be written: No space left on device"),
        "{said}"
    );
}
