//! Images whose links, users and volumes lead elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};

use crate::harness::nobody::is_root;
use crate::harness::oci::{self, Layout};
use crate::harness::refused::assert_refused;
use crate::harness::{Seen, World};
use crate::probe;

/// A root with `link`, which leads to `to`.
fn root_with_link(world: &World, to: &Path) -> PathBuf {
    let root = probe::root(world);
    symlink(to, root.join("link")).unwrap();
    root
}

fn run_with(world: &World, root: &Path, flags: &[&str], script: &str) -> Seen {
    let start = ["run", "--rootfs", root.to_str().unwrap()];
    world.run([&start[..], flags, &["sh", "-c", script]].concat())
}

/// CVE-2022-23648: what a volume begins with is what the image has, not what its links lead to.
#[test]
fn cve_2022_23648_a_volume_begins_with_nothing_of_the_hosts() {
    let world = World::new();
    let secret = world.dir().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "").unwrap();
    let up = Path::new("../../../../..").join(secret.strip_prefix("/").unwrap());
    for (to, name) in [(&secret, "absolute"), (&up, "relative")] {
        let root = root_with_link(&world, to);
        let volume = format!("{name}:/link");
        for flags in [["-v", &volume], ["-v", "/link"]] {
            let seen = run_with(&world, &root, &flags, "ls -A /link");
            assert_eq!(
                (seen.code, seen.stdout_text().as_str()),
                (Some(0), ""),
                "{flags:?}: {}",
                seen.stderr
            );
        }
        assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);
        fs::remove_dir_all(root).unwrap();
    }
}

/// CVE-2019-16884, CVE-2015-3631: a volume of the image's in place of `/proc`.
#[test]
fn cve_2019_16884_an_image_has_no_volume_over_proc() {
    if !Layout::can_be_made() {
        return;
    }
    for volume in ["/proc", "/proc/self", "/./proc/sys"] {
        let world = World::new();
        let mut layout = Layout::new(world.dir());
        layout.layer(oci::busybox);
        layout.config(&["--config.volume", volume]);
        let image = format!("oci:{}", layout.path());
        let seen = world.run(["run", &image, "true"]);
        assert_refused(&world, &seen, &["/proc"]);
    }
}

/// What is mounted on the root itself, nobody sees: it was to be seen.
#[test]
fn a_mount_point_that_is_a_link_to_the_root_is_refused() {
    let world = World::new();
    let root = root_with_link(&world, Path::new("/"));
    let bind = format!("{}:/link", world.dir().display());
    for flags in [["-v", &bind], ["--tmpfs", "/link"], ["-v", "/link"]] {
        let seen = run_with(&world, &root, &flags, "true");
        assert_refused(&world, &seen, &["/link"]);
    }
}

/// A device is a mount like any other.
#[test]
fn cve_2023_27561_no_device_is_put_on_proc_through_a_link() {
    let world = World::new();
    let root = root_with_link(&world, Path::new("/proc/uptime"));
    let seen = run_with(&world, &root, &["--device", "/dev/zero:/link"], "true");
    assert_refused(&world, &seen, &["/dev/zero"]);
}

/// CVE-2024-45310: of a mount point, what is missing was made where a link led that somebody
/// exchanged meanwhile.
#[test]
fn cve_2024_45310_nothing_is_made_outside_of_the_root() {
    let world = World::new();
    let [shared, outside] = ["shared", "outside"].map(|name| {
        let dir = world.dir().join(name);
        fs::create_dir(&dir).unwrap();
        dir
    });
    let (point, link) = (shared.join("point"), shared.join("link"));
    fs::create_dir(&point).unwrap();
    symlink(&outside, &link).unwrap();
    let volume = format!("{}:/v", shared.display());
    std::thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let (point, link) = (&point, &link);
        scope.spawn(move || {
            let here = nix::fcntl::AT_FDCWD;
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                let exchange = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                nix::fcntl::renameat2(here, point, here, link, exchange).unwrap();
            }
        });
        for run in 0..20 {
            let target = format!("/v/point/{run}/new");
            let flags = ["run", "-v", &volume, "--tmpfs", &target];
            // It may see the link or the directory, or neither.
            world.run([&flags[..], &["busybox", "true"]].concat());
        }
        drop(stop);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// A working directory is made as mount points are.
#[test]
fn cve_2024_45310_no_working_directory_is_made_outside_of_the_root() {
    let world = World::new();
    let outside = world.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    let root = root_with_link(&world, &outside);
    let seen = run_with(&world, &root, &["-w", "/link/made/here"], "ls -d $PWD");
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// Files that names are looked up in are not the host's.
#[test]
fn names_of_the_host_are_not_read_through_links() {
    let world = World::new();
    let root = probe::root(&world);
    fs::create_dir(root.join("etc")).unwrap();
    let passwd = world.dir().join("passwd");
    fs::write(&passwd, "hostile:x:7:7::/:\n").unwrap();
    symlink(&passwd, root.join("etc/passwd")).unwrap();
    let seen = run_with(&world, &root, &["-u", "hostile"], "true");
    assert_refused(&world, &seen, &["hostile", "/etc/passwd"]);
}

/// CVE-2021-41091: a set-user-ID program in an image or a volume is within no other user's reach.
#[test]
fn cve_2021_41091_images_and_volumes_are_closed_to_others() {
    if !is_root() || !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(oci::busybox);
    let image = format!("oci:{}", layout.path());
    let seen = world.run(["run", "-v", "data:/d", &image, "true"]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    let data = world.dir().join("data");
    for name in fs::read_dir(&data).unwrap() {
        let path = name.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert!(data.join("volumes").is_dir());
    assert!(fs::read_dir(&data).unwrap().count() > 1);
}
