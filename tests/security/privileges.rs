//! Rights that a command has, or can get.

use std::fs;
use std::io::Error;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::harness::ann::{Ann, Ranges};
use crate::harness::nobody::{is_root, run_as_nobody};
use crate::harness::{JAULA, World, see};
use crate::{output_with, probe};

/// docker's 14, of `oci/caps/defaults.go` of moby: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
/// SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const USUAL: &str = "00000000a80425fb";

const NONE: &str = "0000000000000000";

fn sets(inheritable: &str, held: &str, bounding: &str) -> String {
    format!(
        "CapInh:\t{inheritable}\nCapPrm:\t{held}\nCapEff:\t{held}\nCapBnd:\t{bounding}\n\
         CapAmb:\t{NONE}\n"
    )
}

const STATUS: [&str; 3] = ["grep", "^Cap", "/proc/self/status"];

/// Inheritable capabilities, the launcher's too, would be got back from files that have them.
#[test]
fn cve_2022_24769_only_the_usual_capabilities_and_none_is_inheritable() {
    if !is_root() {
        return;
    }
    for (flags, held) in [(&[][..], USUAL), (&["-u", "1000"], NONE)] {
        let world = World::new();
        let setpriv = ["--inh-caps=+chown,+kill", "--", JAULA, "run"];
        let args = [&setpriv[..], flags, &["busybox"], &STATUS].concat();
        let seen = see(world.command("setpriv", args), b"");
        assert_eq!(seen.stdout_text(), sets(NONE, held, USUAL), "{seen:?}");
    }
    let args = [&["run", "busybox"][..], &STATUS].concat();
    let seen = run_as_nobody(&World::new(), &args);
    assert_eq!(seen.stdout_text(), sets(NONE, USUAL, USUAL), "{seen:?}");
}

/// A set-user-ID program gives nobody its owner's rights, unless that was asked for.
#[test]
fn no_new_privs_a_set_user_id_program_of_the_image_gives_no_rights() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let root = probe::root(&world);
    let command = probe::command(&world, "say_who_it_is");
    fs::set_permissions(root.join("probe"), fs::Permissions::from_mode(0o6755)).unwrap();
    for (option, expected) in [(None, "1000 1000\n"), (Some("false"), "0 0\n")] {
        let option = option.map(|value| format!("no-new-privileges={value}"));
        let option = option.as_deref().map(|option| ["--security-opt", option]);
        let flags = ["run", "-u", "1000:1000", "--rootfs", root.to_str().unwrap()];
        let args = [&flags[..], option.as_ref().map_or(&[], |option| option)].concat();
        let seen = world.run(args.into_iter().chain(command.iter().map(String::as_str)));
        assert_eq!(probe::said(&seen), expected);
    }
}

/// Who lacks its own group among the supplementary ones loses it in a set-group-ID program, and
/// so gets past files that are closed to that group.
#[test]
fn cve_2022_36109_the_group_is_a_supplementary_one() {
    if !is_root() {
        return;
    }
    let groups = ["grep", "Groups", "/proc/self/status"];
    for (flags, expected) in [
        (&["-u", "1000:1001"][..], "1001"),
        (&["-u", "1000:1001", "--group-add", "7"], "1001 7"),
        (&[], "0"),
    ] {
        let world = World::new();
        let args = [&["run"], flags, &["busybox"], &groups].concat();
        let seen = world.run(args);
        // The kernel sorts them.
        let mut expected: Vec<_> = expected.split(' ').collect();
        expected.sort_by_key(|group| group.parse::<u32>().unwrap());
        let said = seen.stdout_text();
        let said: Vec<_> = said.split_whitespace().skip(1).collect();
        assert_eq!(said, expected, "{flags:?}: {seen:?}");
    }
    if let Some(ann) = Ann::new(Ranges::Given) {
        let args = [&["run", "-u", "1000:1001", "busybox"][..], &groups].concat();
        let said = ann.says(&args);
        assert_eq!(
            said.split_whitespace().skip(1).collect::<Vec<_>>(),
            ["1001"]
        );
    }
}

/// A user of the image that is called by a number is not the one who has that number.
#[test]
fn cve_2016_3697_a_number_is_no_name_of_the_images() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let root = probe::root(&world);
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "1000:x:0:0::/:\n").unwrap();
    let script = "grep -E '^(Uid|Gid)' /proc/self/status";
    fs::copy("/bin/busybox", root.join("bin/grep")).unwrap();
    let root = root.to_str().unwrap();
    let args = ["run", "-u", "1000", "--rootfs", root, "sh", "-c", script];
    let seen = world.run(args);
    let said = seen.stdout_text();
    assert!(
        said.starts_with("Uid:\t1000\t1000\t1000\t1000\n"),
        "{seen:?}"
    );
}

/// Keys that the launcher has in its session, of the file system's encryption say, are not the
/// command's, whatever it may ask of the kernel.
#[test]
fn keyring_the_launchers_keys_are_out_of_reach() {
    let world = World::new();
    let root = probe::root(&world);
    let flags = [
        "run",
        "--security-opt",
        "seccomp=unconfined",
        "--rootfs",
        root.to_str().unwrap(),
    ];
    let probe = probe::command(&world, "look_for_the_launchers_key");
    let args = flags.into_iter().chain(probe.iter().map(String::as_str));
    let mut command = world.jaula(args);
    // SAFETY: makes system calls only.
    unsafe { command.pre_exec(own_a_key) };
    let seen = see(command, b"");
    assert_eq!(
        probe::said(&seen),
        format!("key: errno {}\n", libc::ENOKEY),
        "{seen:?}"
    );
}

/// Makes a session keyring with a key in it.
fn own_a_key() -> std::io::Result<()> {
    // SAFETY: a null name is allowed; the strings are C strings, and the payload has that length.
    let added = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        );
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            c"jaula-test".as_ptr(),
            c"x".as_ptr(),
            1,
            libc::KEY_SPEC_SESSION_KEYRING,
        )
    };
    match added {
        -1 => Err(Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Files that the command makes are not open to all because the launcher's would be.
#[test]
fn the_launchers_umask_is_not_the_commands() {
    let world = World::new();
    for mask in ["000", "077"] {
        let line = format!("umask {mask}; exec \"$0\" run busybox sh -c umask");
        let seen = see(world.command("sh", ["-c", &line, JAULA]), b"");
        assert_eq!(seen.stdout_text(), "0022\n", "{seen:?}");
    }
}

/// Secrets are in environments.
#[test]
fn the_launchers_environment_is_not_the_commands() {
    let world = World::new();
    let mut command = world.jaula(["run", "busybox", "env"]);
    command.env("SECRET", "x").env("LD_PRELOAD", "");
    let seen = see(command, b"");
    let said = seen.stdout_text();
    let mut names: Vec<_> = said
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "HOSTNAME", "PATH"], "{seen:?}");
}

/// No process but the container's own can be seen, so none can be traced or signalled.
#[test]
fn processes_of_the_host_are_not_there() {
    let own = std::process::id();
    let script = format!(
        "ls -d /proc/[0-9]* | wc -l; kill -0 {own} 2>/dev/null && echo there; \
         readlink /proc/1/exe"
    );
    // The shell and what it runs: a container has nothing else.
    assert_eq!(output_with(&[], &script), "3\n/bin/sh\n");
}

/// The init of `--init` is seen by root as a file: it can't be replaced by what the next
/// container would run as its init.
#[test]
fn cve_2019_5736_the_init_is_sealed() {
    let said = probe::run(&World::new(), &["--init"], "ask_for_the_seals_of_process_1");
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    assert_eq!(said, format!("{seals}\n"));
}

/// A host may ask that programs in memory are asked for.
#[test]
fn an_init_runs_where_programs_in_memory_have_to_be_asked_for() {
    if !is_root() || !std::path::Path::new("/proc/sys/vm/memfd_noexec").exists() {
        return;
    }
    let world = World::new();
    for (level, code, says) in [(1, 7, ""), (2, 125, "vm.memfd_noexec=1")] {
        let script = format!(
            "echo {level} > /proc/sys/vm/memfd_noexec; \
             exec \"$0\" run --init busybox sh -c 'exit 7'"
        );
        let unshare = [
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            &script,
            JAULA,
        ];
        let seen = see(world.command("unshare", unshare), b"");
        assert_eq!(seen.code, Some(code), "{level}: {seen:?}");
        assert!(seen.stderr.contains(says), "{level}: {}", seen.stderr);
    }
}
