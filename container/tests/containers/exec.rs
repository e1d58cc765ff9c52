//! Commands that can't be executed: the command's fault, and told apart as a shell does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use launch::ExitStatus;

use crate::world::World;

fn script(world: &World, name: &str, text: &str, mode: u32) {
    let path = world.image().join("bin").join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    script(&world, "orphan", "#!/no/such/interpreter\n", 0o755);
    for argv in [
        "no-such-command",
        "/no/such/command",
        "/bin/busybox/x",
        "orphan",
        "",
    ] {
        assert_eq!(world.status_of(&[argv]), ExitStatus::NotFound, "{argv:?}");
    }
}

#[test]
fn what_can_not_be_run_is_not_executable() {
    let world = World::new();
    script(&world, "forbidden", "#!/bin/sh\n", 0o644);
    script(&world, "formless", "neither program nor script\n", 0o755);
    for (argv, errno) in [
        ("/bin", libc::EACCES),
        ("forbidden", libc::EACCES),
        ("formless", libc::ENOEXEC),
    ] {
        assert_eq!(
            world.status_of(&[argv]),
            ExitStatus::NotExecutable(errno),
            "{argv:?}"
        );
    }
}

#[test]
fn a_script_is_run_by_its_interpreter() {
    let world = World::new();
    script(&world, "greet", "#!/bin/sh\necho \"$1\"\n", 0o755);
    let outcome = world.run(&world.workload(&["greet", "you"])).unwrap();
    assert_eq!(outcome.stdout, "you\n");
}

#[test]
fn a_name_with_a_slash_is_relative_to_the_working_directory() {
    let world = World::new();
    let workload = world.workload_as(&["./echo", "here"], "/bin", Default::default());
    assert_eq!(world.run(&workload).unwrap().stdout, "here\n");
}

#[test]
fn the_launchers_own_program_is_never_executed() {
    // CVE-2019-5736: what runs it could overwrite it.
    let world = World::new();
    symlink("/proc/self/exe", world.image().join("bin/itself")).unwrap();
    script(&world, "direct", "#!/proc/self/exe\n", 0o755);
    script(&world, "indirect", "#! /bin/direct x\n", 0o755);
    script(&world, "by-link", "#!/bin/itself\n", 0o755);
    for argv in ["/proc/self/exe", "itself", "direct", "indirect", "by-link"] {
        assert_eq!(
            world.status_of(&[argv]),
            ExitStatus::NotExecutable(libc::ELOOP),
            "{argv:?}"
        );
    }
}
