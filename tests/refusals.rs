//! Bad input is refused in one line that names the thing, with 125, and leaves nothing.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness::nobody::{is_root, nobodys_jaula, run_as_nobody};
use harness::oci;
use harness::refused::assert_refused;
use harness::{JAULA, Place, Seen, World, can_run, see};
use launch::Side;

/// A file in the test's directory.
fn file(world: &World, name: &str, contents: &[u8]) -> String {
    let path = world.dir().join(name);
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_kernel_that_is_none() {
    if can_run(Side::Vm) {
        let world = World::new();
        let kernel = file(&world, "kernel", b"Dear guest, this is no kernel.\n");
        let seen = world.run(["run", "--as", "vm", "--kernel", &kernel, "busybox", "true"]);
        assert_refused(&world, &seen, &[&kernel]);
    }
}

#[test]
fn a_kernel_that_is_not_there() {
    if can_run(Side::Vm) {
        let world = World::new();
        let kernel = "/nonexistent/vmlinux";
        let seen = world.run(["run", "--as", "vm", "--kernel", kernel, "busybox", "true"]);
        assert_refused(&world, &seen, &[kernel, "No such file"]);
    }
}

#[test]
fn a_kernel_that_was_cut_off() {
    if can_run(Side::Vm) {
        let world = World::new();
        let kernel = file(&world, "vmlinux", &elf_that_was_cut_off());
        let seen = world.run(["run", "--as", "vm", "--kernel", &kernel, "busybox", "true"]);
        assert_refused(&world, &seen, &[&kernel]);
    }
}

/// The head of an x86-64 executable (elf(5)) that promises 1 MiB, of which nothing is there.
fn elf_that_was_cut_off() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
    let word = |elf: &mut Vec<u8>, value: u32| elf.extend(value.to_le_bytes());
    let long = |elf: &mut Vec<u8>, value: u64| elf.extend(value.to_le_bytes());
    half(&mut elf, 2); // e_type: ET_EXEC
    half(&mut elf, 62); // e_machine: EM_X86_64
    word(&mut elf, 1); // e_version
    long(&mut elf, 0x100_0000); // e_entry
    long(&mut elf, 64); // e_phoff: directly behind this header
    long(&mut elf, 0); // e_shoff
    word(&mut elf, 0); // e_flags
    half(&mut elf, 64); // e_ehsize
    half(&mut elf, 56); // e_phentsize
    half(&mut elf, 1); // e_phnum
    half(&mut elf, 64); // e_shentsize
    half(&mut elf, 0); // e_shnum
    half(&mut elf, 0); // e_shstrndx
    word(&mut elf, 1); // p_type: PT_LOAD
    word(&mut elf, 5); // p_flags: read, execute
    long(&mut elf, 0x1000); // p_offset: behind the end
    long(&mut elf, 0x100_0000); // p_vaddr
    long(&mut elf, 0x100_0000); // p_paddr
    long(&mut elf, 1 << 20); // p_filesz
    long(&mut elf, 1 << 20); // p_memsz
    long(&mut elf, 0x1000); // p_align
    elf
}

#[test]
fn an_image_that_does_not_exist() {
    let world = World::new();
    let seen = world.run(["run", "--pull", "never", "no-such-image", "true"]);
    assert_refused(&world, &seen, &["no-such-image", "busybox", "--rootfs"]);
}

#[test]
fn a_root_directory_that_does_not_exist() {
    let world = World::new();
    let seen = world.run(["run", "--rootfs", "/nonexistent", "true"]);
    assert_refused(&world, &seen, &["/nonexistent", "No such file"]);
}

#[test]
fn a_root_directory_that_is_a_file() {
    let world = World::new();
    let path = file(&world, "root", b"");
    let seen = world.run(["run", "--rootfs", &path, "true"]);
    assert_refused(&world, &seen, &[&path]);
}

#[test]
fn a_root_directory_and_no_command() {
    let world = World::new();
    let seen = world.run(["run", "--rootfs", world.dir().to_str().unwrap()]);
    assert_refused(&world, &seen, &["no command"]);
}

/// That the command is missing is what the command's own exit code says, as in docker.
#[test]
fn a_root_directory_without_the_command_is_127() {
    let world = World::new();
    let root = world.dir().join("root");
    fs::create_dir(&root).unwrap();
    let seen = world.run(["run", "--rootfs", root.to_str().unwrap(), "true"]);
    assert_eq!(seen.code, Some(127), "{}", seen.stderr);
    assert!(seen.stderr.contains("\"true\""), "{}", seen.stderr);
    world.assert_no_traces();
}

#[test]
fn memory_of_nothing_or_of_more_than_there_is() {
    for side in ["container", "vm"] {
        for (memory, names) in [
            ("0", &["memory", "6m"][..]),
            ("1t", &["memory", "1024 GiB"]),
        ] {
            let world = World::new();
            let seen = world.run(["run", "--as", side, "-m", memory, "busybox", "true"]);
            assert_refused(&world, &seen, names);
        }
    }
}

#[test]
fn a_container_that_is_told_how_a_vm_starts() {
    for how in ["cold", "warm", "auto"] {
        let world = World::new();
        let seen = world.run(["run", "--start", how, "busybox", "true"]);
        assert_refused(&world, &seen, &["--start", "--as vm"]);
    }
}

#[test]
fn a_template_that_does_not_exist() {
    let world = World::new();
    let seen = world.run(["template", "rm", "no-such-template"]);
    assert_refused(&world, &seen, &["no-such-template", "jaula template ls"]);
}

#[test]
fn a_snapshot_that_does_not_exist() {
    for action in ["inspect", "rm"] {
        let world = World::new();
        let seen = world.run(["snapshot", action, "no-such-snapshot"]);
        assert_refused(&world, &seen, &["no-such-snapshot", "jaula snapshot ls"]);
    }
}

#[test]
fn a_snapshot_that_is_none() {
    let world = World::new();
    let dir = world.dir().join("data/snapshots/odd");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("state"), "Dear jaula, this is no snapshot.\n").unwrap();
    let seen = world.run(["snapshot", "inspect", "odd"]);
    assert_refused(&world, &seen, &["odd", "no snapshot of jaula's"]);
}

#[test]
fn a_mount_point_that_leads_into_proc() {
    for side in [Side::Container, Side::Vm] {
        if !can_run(side) {
            continue;
        }
        let _place = Place::take(side);
        let world = World::new();
        let root = world.dir().join("root");
        oci::busybox(&root);
        symlink("/proc/self", root.join("link")).unwrap();
        let side = side.to_string();
        let flags = ["run", "--as", &side, "--tmpfs", "/tmp", "--tmpfs", "/link"];
        let root = ["--rootfs", root.to_str().unwrap(), "true"];
        let seen = world.run(flags.into_iter().chain(root));
        assert_refused(&world, &seen, &["/link", "choose a path"]);
    }
}

#[test]
fn a_user_that_the_image_does_not_have() {
    let world = World::new();
    let seen = world.run(["run", "-u", "no-such-user", "busybox", "true"]);
    assert_refused(&world, &seen, &["no-such-user", "/etc/passwd"]);
}

#[test]
fn a_root_directory_that_an_ordinary_user_may_not_read() {
    if is_root() {
        let world = World::new();
        let root = world.dir().join("root");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o700)).unwrap();
        let root = root.to_str().unwrap();
        let seen = run_as_nobody(&world, &["run", "--rootfs", root, "true"]);
        assert_refused(&world, &seen, &[root, "Permission denied"]);
    }
}

#[test]
fn a_part_of_a_root_directory_that_an_ordinary_user_may_not_read() {
    if is_root() {
        let world = World::new();
        let secret = world.dir().join("root/secret");
        fs::create_dir_all(&secret).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o700)).unwrap();
        let root = world.dir().join("root");
        let seen = run_as_nobody(&world, &["run", "--rootfs", root.to_str().unwrap(), "true"]);
        assert_refused(
            &world,
            &seen,
            &[secret.to_str().unwrap(), "Permission denied"],
        );
    }
}

/// Runs `script`, in which `$@` is jaula with `args`, where mounts are its own.
fn run_in_own_mounts(world: &World, script: &str, jaula: &Path, args: &[&str]) -> Seen {
    let unshare = ["--mount", "--", "sh", "-ec", script, "sh"];
    let args = [&unshare[..], &[jaula.to_str().unwrap()], args].concat();
    let mut command = world.command("unshare", args);
    command.env("JAULA_CACHE_DIR", world.dir().join("cache"));
    see(command, b"")
}

/// A `/dev` with nothing in it but what every program needs.
const BARE_DEV: &str = "\
    mount -t tmpfs none /dev
    mknod -m 666 /dev/null c 1 3
    mknod -m 666 /dev/zero c 1 5
    mknod -m 666 /dev/urandom c 1 9
    ";

#[test]
fn a_machine_without_kvm() {
    if is_root() {
        let world = World::new();
        let script = format!("{BARE_DEV} exec \"$@\"");
        let args = ["run", "--as", "vm", "busybox", "true"];
        let seen = run_in_own_mounts(&world, &script, Path::new(JAULA), &args);
        assert_refused(&world, &seen, &["/dev/kvm", ";"]);
    }
}

#[test]
fn a_user_who_may_not_open_kvm() {
    if is_root() {
        let world = World::new();
        let jaula = nobodys_jaula(&world);
        let script = format!(
            "{BARE_DEV} mknod -m 600 /dev/kvm c 10 232
             exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\""
        );
        let args = ["run", "--as", "vm", "busybox", "true"];
        let seen = run_in_own_mounts(&world, &script, &jaula, &args);
        assert_refused(&world, &seen, &["/dev/kvm", "run as root"]);
    }
}

#[test]
fn a_disk_that_is_full_while_an_image_is_made() {
    if is_root() {
        let world = World::new();
        let cache = world.dir().join("cache");
        fs::create_dir(&cache).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=256k none {cache}
             \"$@\" && code=0 || code=$?
             find {cache} -name '.making*' >&2
             exit $code",
            cache = cache.display()
        );
        let args = ["run", "busybox", "true"];
        let seen = run_in_own_mounts(&world, &script, Path::new(JAULA), &args);
        assert_refused(&world, &seen, &[cache.to_str().unwrap()]);
    }
}

#[test]
fn a_run_directory_that_belongs_to_somebody_else() {
    if is_root() {
        let world = World::new();
        fs::create_dir(world.run_dir()).unwrap();
        fs::set_permissions(world.run_dir(), Permissions::from_mode(0o777)).unwrap();
        let seen = world.run(["run", "busybox", "true"]);
        assert_refused(&world, &seen, &["JAULA_RUN_DIR"]);
    }
}

#[test]
fn a_kernel_directory_is_no_kernel() {
    if can_run(Side::Vm) {
        let world = World::new();
        File::create(world.dir().join("x")).unwrap();
        let dir = world.dir().to_str().unwrap();
        let seen = world.run(["run", "--as", "vm", "--kernel", dir, "busybox", "true"]);
        assert_refused(&world, &seen, &[dir]);
    }
}
