//! What a workload has mounted in its root: what is seen of it, and mount points that mean harm.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use launch::{Error, ExitStatus, Mount, MountPoint, MountSource};

use crate::world::{Outcome, World, is_root};

fn mount(source: MountSource, target: &str) -> Mount {
    Mount {
        source,
        target: MountPoint::new(target.as_bytes()).unwrap(),
        read_only: false,
    }
}

fn bind(path: &Path, target: &str) -> Mount {
    mount(MountSource::Bind(path.to_owned()), target)
}

fn tmpfs(target: &str) -> Mount {
    let source = MountSource::Tmpfs {
        size_bytes: None,
        mode: 0o1777,
        executable: false,
    };
    mount(source, target)
}

fn read_only(mount: Mount) -> Mount {
    Mount {
        read_only: true,
        ..mount
    }
}

/// Runs a shell script with these mounts.
fn try_run(world: &World, mounts: &[Mount], script: &str) -> Result<Outcome, Error> {
    let mut workload = world.workload(&["sh", "-c", script]);
    workload.mounts = mounts.to_vec();
    world.run(&workload)
}

/// What a script prints that must end with 0.
fn output(world: &World, mounts: &[Mount], script: &str) -> String {
    let outcome = try_run(world, mounts, script).unwrap();
    assert_eq!(outcome.status, ExitStatus::Exited(0), "{outcome:?}");
    outcome.stdout
}

/// A directory beside the image, with a file in it.
fn volume(world: &World) -> PathBuf {
    let dir = world.dir().join("volume");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "of the host\n").unwrap();
    dir
}

#[test]
fn a_bind_shows_the_hosts_directory_and_takes_writes() {
    let world = World::new();
    let volume = volume(&world);
    let script = "cat /made/for/it/file; echo new > /made/for/it/new";
    let seen = output(&world, &[bind(&volume, "/made/for/it")], script);
    assert_eq!(seen, "of the host\n");
    assert_eq!(fs::read_to_string(volume.join("new")).unwrap(), "new\n");
    assert!(!world.image().join("made").exists());
}

#[test]
fn a_file_is_mounted_on_a_file() {
    let world = World::new();
    let file = volume(&world).join("file");
    for target in ["/etc/new.conf", "/bin/cat.conf"] {
        let script = format!("cat {target}");
        let seen = output(&world, &[bind(&file, target)], &script);
        assert_eq!(seen, "of the host\n");
    }
}

#[test]
fn a_read_only_bind_takes_no_writes_and_the_hosts_directory_still_does() {
    let world = World::new();
    let volume = volume(&world);
    let script = "(echo x > /v/file) 2>&1; true";
    let seen = output(&world, &[read_only(bind(&volume, "/v"))], script);
    assert_eq!(seen, "sh: can't create /v/file: Read-only file system\n");
    fs::write(volume.join("file"), "").unwrap();
}

#[test]
fn what_is_mounted_below_a_read_only_bind_is_read_only_too() {
    if !is_root("a mount below a volume") {
        return;
    }
    let world = World::new();
    let volume = volume(&world);
    let below = volume.join("below");
    fs::create_dir(&below).unwrap();
    let mounted = nix::mount::mount(
        Some("tmpfs"),
        &below,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    );
    mounted.unwrap();
    let script = "(echo x > /v/below/file) 2>&1; true";
    let seen = try_run(&world, &[read_only(bind(&volume, "/v"))], script);
    nix::mount::umount2(&below, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(
        seen.unwrap().stdout,
        "sh: can't create /v/below/file: Read-only file system\n"
    );
}

#[test]
fn a_volume_that_holds_the_instances_own_directory_shows_nothing_of_its_root() {
    let world = World::new();
    let script = "find /all/run -name upper -o -name nodes; ls -d /all/image";
    assert_eq!(
        output(&world, &[bind(world.dir(), "/all")], script),
        "/all/image\n"
    );
}

#[test]
fn a_missing_source_is_an_error_that_names_it() {
    let world = World::new();
    let missing = world.dir().join("missing");
    let error = try_run(&world, &[tmpfs("/t"), bind(&missing, "/v")], "true").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("can't mount {}", missing.display())
    );
    assert!(error.remedy().is_some());
    assert_eq!(world.instances(), [] as [String; 0]);
}

#[test]
fn a_directory_is_not_mounted_on_a_file() {
    let world = World::new();
    let error = try_run(&world, &[tmpfs("/bin/busybox")], "true").unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't mount on /bin/busybox in the image"
    );
    assert!(error.remedy().is_some());
}

#[test]
fn mounts_are_made_in_the_order_that_was_given() {
    let world = World::new();
    let volume = volume(&world);
    let inner = [tmpfs("/a"), bind(&volume, "/a/b")];
    assert_eq!(output(&world, &inner, "cat /a/b/file"), "of the host\n");
    let hidden = [bind(&volume, "/a/b"), tmpfs("/a")];
    assert_eq!(output(&world, &hidden, "ls /a"), "");
}

#[test]
fn a_tmpfs_has_the_size_and_mode_that_were_asked_for() {
    let world = World::new();
    let small = |executable| {
        let source = MountSource::Tmpfs {
            size_bytes: Some(1 << 16),
            mode: 0o750,
            executable,
        };
        mount(source, "/t")
    };
    let script = "stat -c %a /t; grep ' /t ' /proc/mounts | cut -d ' ' -f 4 | cut -d , -f 1-5; \
                  head -c 100000 /dev/zero > /t/full; wc -c < /t/full; \
                  cp /bin/busybox /t/true 2> /dev/null; cp /bin/true /t; /t/true";
    let seen = try_run(&world, &[small(false)], script).unwrap();
    assert_eq!(seen.stdout, "750\nrw,nosuid,nodev,noexec,relatime\n65536\n");
    assert_eq!(seen.status, ExitStatus::Exited(126));
    let script = "echo '#!/bin/sh' > /t/x; chmod +x /t/x; /t/x; echo $?";
    assert_eq!(output(&world, &[small(true)], script), "0\n");
}

#[test]
fn a_tmpfs_may_be_read_only() {
    let world = World::new();
    let script = "(echo > /t/file) 2>&1; true";
    let seen = output(&world, &[read_only(tmpfs("/t"))], script);
    assert!(seen.contains("Read-only"), "{seen}");
}

#[test]
fn an_anonymous_volume_has_the_images_files_and_takes_writes_in_a_read_only_root() {
    let world = World::new();
    let data = world.image().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("kept"), "kept\n").unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o770)).unwrap();
    let script = "stat -c %a /data; cat /data/kept; echo x > /data/kept; echo x > /new/file; \
                  cat /data/kept; ls /new; (echo > /file) 2>&1; true";
    let mut workload = world.workload(&["sh", "-c", script]);
    workload.root.read_only = true;
    workload.mounts = ["/data", "/new"]
        .map(|target| mount(MountSource::Anonymous, target))
        .into();
    assert_eq!(
        world.run(&workload).unwrap().stdout,
        "770\nkept\nx\nfile\nsh: can't create /file: Read-only file system\n"
    );
    assert_eq!(fs::read_to_string(data.join("kept")).unwrap(), "kept\n");
}

/// `-v .:/app -v /app/modules`: what the image has there, and not what the host has.
#[test]
fn an_anonymous_volume_in_a_bind_keeps_the_hosts_directory_from_writes() {
    let world = World::new();
    let app = world.image().join("app/modules");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("built"), "").unwrap();
    let volume = volume(&world);
    fs::create_dir(volume.join("modules")).unwrap();
    let mounts = [
        bind(&volume, "/app"),
        mount(MountSource::Anonymous, "/app/modules"),
    ];
    let script = "ls /app /app/modules; touch /app/modules/new";
    assert_eq!(
        output(&world, &mounts, script),
        "/app:\nfile\nmodules\n\n/app/modules:\nbuilt\n"
    );
    assert_eq!(fs::read_dir(volume.join("modules")).unwrap().count(), 0);
}

#[test]
fn dev_can_be_mounted_in() {
    let world = World::new();
    let volume = volume(&world);
    let mounts = [bind(&volume, "/dev/shm"), bind(&volume, "/dev/own/dir")];
    let script = "cat /dev/shm/file /dev/own/dir/file";
    assert_eq!(
        output(&world, &mounts, script),
        "of the host\nof the host\n"
    );
}

#[test]
fn a_link_of_the_image_leads_no_mount_out_of_the_root() {
    let world = World::new();
    let host = world.dir().join("host");
    fs::create_dir(&host).unwrap();
    symlink(&host, world.image().join("absolute")).unwrap();
    symlink("../../../../../../host", world.image().join("relative")).unwrap();
    // Where they lead inside the root.
    fs::create_dir_all(world.image().join(host.strip_prefix("/").unwrap())).unwrap();
    fs::create_dir(world.image().join("host")).unwrap();
    for name in ["absolute", "relative"] {
        let target = format!("/{name}/made");
        let script = format!("cat {target}/file");
        let volume = world.dir().join("volume");
        if !volume.exists() {
            self::volume(&world);
        }
        let seen = output(&world, &[bind(&volume, &target)], &script);
        assert_eq!(seen, "of the host\n");
        assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
    }
}

#[test]
fn a_link_into_proc_is_no_mount_point() {
    for to in ["/proc", "/proc/self", "/proc/sys/kernel", "/proc/self/fd/0"] {
        let world = World::new();
        symlink(to, world.image().join("link")).unwrap();
        let error = try_run(&world, &[tmpfs("/link")], "true").unwrap_err();
        assert_eq!(
            error.to_string(),
            "can't mount on /link in the image",
            "{to}"
        );
    }
}

#[test]
fn no_device_node_works_in_a_volume() {
    if !is_root("a device node in a volume") {
        return;
    }
    let world = World::new();
    let volume = volume(&world);
    let mounts = [
        bind(&volume, "/v"),
        tmpfs("/t"),
        mount(MountSource::Anonymous, "/a"),
    ];
    let script = "for d in /v /t /a; do mknod $d/zero c 1 5; head -c 1 $d/zero 2>&1; done; true";
    assert_eq!(
        output(&world, &mounts, script),
        "head: /v/zero: Permission denied\n\
         head: /t/zero: Permission denied\n\
         head: /a/zero: Permission denied\n"
    );
}
