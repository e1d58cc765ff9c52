//! The root file system: whose it is, what may be written, and images that mean harm.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use launch::ExitStatus;
use nix::fcntl::{FcntlArg, fcntl};

use crate::world::World;

/// Every path below a directory, to see whether anything was added to it.
fn tree(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            paths.extend(tree(&path));
        }
        paths.push(path.display().to_string());
    }
    paths.sort();
    paths
}

#[test]
fn writes_work_and_never_reach_the_image() {
    let world = World::new();
    let before = tree(&world.image());
    let script = "mkdir /a; echo b > /a/b; rm /bin/cat; ls /bin/cat 2>/dev/null; ls /a";
    assert_eq!(world.output_of(script), "b\n");
    assert_eq!(tree(&world.image()), before);
    assert_eq!(world.output_of("ls /a 2>/dev/null; echo x | cat"), "x\n");
}

#[test]
fn the_root_has_the_images_mode() {
    let world = World::new();
    fs::set_permissions(world.image(), fs::Permissions::from_mode(0o1751)).unwrap();
    assert_eq!(world.output_of("stat -c %a /"), "1751\n");
}

#[test]
fn a_read_only_root_takes_no_writes_but_dev_does() {
    let world = World::new();
    let script =
        "(echo x > /new) 2>&1; (mkdir /bin/d) 2>&1; echo x > /dev/shm/new; cat /dev/shm/new";
    let mut workload = world.workload_as(
        &["sh", "-c", script],
        "/made/when/missing",
        Default::default(),
    );
    workload.root.read_only = true;
    let outcome = world.run(&workload).unwrap();
    assert_eq!(
        outcome.stdout,
        "sh: can't create /new: Read-only file system\n\
         mkdir: can't create directory '/bin/d': Read-only file system\n\
         x\n"
    );
}

#[test]
fn a_mount_point_that_is_a_link_is_an_error_and_leaves_the_host_untouched() {
    for name in ["proc", "sys", "dev"] {
        for absolute in [true, false] {
            let world = World::new();
            let host = world.image().parent().unwrap().join("host");
            fs::create_dir(&host).unwrap();
            let target = if absolute {
                host.clone()
            } else {
                "../../../../../../../../tmp".into()
            };
            symlink(target, world.image().join(name)).unwrap();
            let error = world.run(&world.workload(&["true"])).unwrap_err();
            assert!(error.to_string().contains(&format!("/{name}")), "{error}");
            assert!(error.remedy().is_some());
            assert_eq!(tree(&host), [] as [String; 0]);
            assert_eq!(world.instances(), [] as [String; 0]);
        }
    }
}

#[test]
fn a_mount_point_that_is_a_file_is_an_error_and_not_a_status() {
    let world = World::new();
    fs::write(world.image().join("proc"), "").unwrap();
    let error = world.run(&world.workload(&["true"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mounting /proc: Not a directory (os error 20)"
    );
}

#[test]
fn a_link_in_the_working_directory_stays_inside_the_root() {
    let world = World::new();
    let host = world.image().parent().unwrap().join("host");
    fs::create_dir(&host).unwrap();
    // The same path inside the root is another directory.
    let inside = world.image().join(host.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("inside"), "").unwrap();
    symlink(&host, world.image().join("link")).unwrap();
    let workload = world.workload_as(
        &["sh", "-c", "ls; mkdir -p deeper"],
        "/link",
        Default::default(),
    );
    assert_eq!(world.run(&workload).unwrap().stdout, "inside\n");
    assert_eq!(tree(&host), [] as [String; 0]);
}

#[test]
fn an_etc_that_is_a_link_takes_no_write_to_the_host() {
    let world = World::new();
    let host = world.image().parent().unwrap().join("host");
    fs::create_dir(&host).unwrap();
    symlink(&host, world.image().join("etc")).unwrap();
    assert_eq!(world.output_of("echo ran"), "ran\n");
    assert_eq!(tree(&host), [] as [String; 0]);
}

#[test]
fn localhost_and_the_hostname_have_addresses() {
    let world = World::new();
    fs::create_dir(world.image().join("etc")).unwrap();
    fs::write(world.image().join("etc/hosts"), "10.0.0.1 stale\n").unwrap();
    fs::write(world.image().join("etc/motd"), "kept\n").unwrap();
    let script = "cat /etc/hostname /etc/motd; grep -c stale /etc/hosts; \
                  ping -c 1 localhost > /dev/null && ping -c 1 testhost | head -n 1";
    assert_eq!(
        world.output_of(script),
        "testhost\nkept\n0\nPING testhost (127.0.1.1): 56 data bytes\n"
    );
}

#[test]
fn a_missing_directory_behind_a_link_is_made_inside_the_root() {
    let world = World::new();
    let host = world.image().parent().unwrap().join("host");
    fs::create_dir(&host).unwrap();
    fs::create_dir_all(world.image().join(host.strip_prefix("/").unwrap())).unwrap();
    symlink(&host, world.image().join("etc")).unwrap();
    let workload = world.workload_as(&["pwd"], "/etc/new/dir", Default::default());
    assert_eq!(world.run(&workload).unwrap().status, ExitStatus::Exited(0));
    assert_eq!(tree(&host), [] as [String; 0]);
}

#[test]
fn neither_working_directory_nor_program_lead_through_a_descriptor_of_the_launcher() {
    // CVE-2024-21626: a directory of the host that the launcher happens to have open, at a number
    // above those that a container's process still has when it looks up its program.
    let world = World::new();
    let host = fs::File::open("/").unwrap();
    let host = fcntl(&host, FcntlArg::F_DUPFD_CLOEXEC(64)).unwrap();
    // SAFETY: fcntl(2) has just made it, and nothing else knows of it.
    let host = unsafe { OwnedFd::from_raw_fd(host) };
    let cwd = format!("/proc/self/fd/{}", host.as_raw_fd());
    let error = world
        .run(&world.workload_as(&["pwd"], &cwd, Default::default()))
        .unwrap_err();
    assert!(error.to_string().contains("working directory"), "{error}");
    symlink(&cwd, world.image().join("link")).unwrap();
    let error = world
        .run(&world.workload_as(&["pwd"], "/link", Default::default()))
        .unwrap_err();
    assert!(error.to_string().contains("working directory"), "{error}");
    let program = format!("{cwd}/bin/true");
    assert_eq!(world.status_of(&[&program]), ExitStatus::NotFound);
}

#[test]
fn an_image_that_is_not_there_is_an_error_with_what_to_do() {
    let world = World::new();
    let mut workload = world.workload(&["true"]);
    workload.root.layers = world.image().join("missing").into();
    let error = world.run(&workload).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert!(error.remedy().is_some());
}

#[test]
fn an_image_may_have_any_path() {
    let world = World::new();
    let odd = world
        .image()
        .parent()
        .unwrap()
        .join(format!("a:b,c=d\\e {}", "long".repeat(60)));
    fs::rename(world.image(), &odd).unwrap();
    let mut workload = world.workload(&["true"]);
    workload.root.layers = odd.into();
    assert_eq!(world.run(&workload).unwrap().status, ExitStatus::Exited(0));
}
