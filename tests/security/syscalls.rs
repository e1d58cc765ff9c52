//! System calls that reach parts of the kernel which have let containers out. Each is made by a
//! probe: a kernel without it would refuse it, too, but not with this number.

use std::fs;

use crate::harness::World;
use crate::probe;

/// What a probe says that makes this call.
fn made(call: &str) -> String {
    made_with(&[], call)
}

fn made_with(flags: &[&str], call: &str) -> String {
    let call = format!("CALL={call}");
    let flags = [flags, &["-e", &call]].concat();
    probe::run(&World::new(), &flags, "make_a_call")
}

fn refused(call: &str) -> String {
    format!("{call}: errno {}\n", libc::EPERM)
}

/// CVE-2022-29582, CVE-2023-2598 and many more; what it does passes no filter.
#[test]
fn cve_2022_29582_there_is_no_io_uring() {
    assert_eq!(made("io_uring_setup"), refused("io_uring_setup"));
}

/// CVE-2021-31440, CVE-2021-3490, CVE-2022-23222: the verifier is part of the kernel.
#[test]
fn cve_2022_23222_no_program_is_given_to_the_kernel() {
    assert_eq!(made("bpf"), refused("bpf"));
}

/// It stops the kernel at a moment that the command chooses, which makes others' races certain.
#[test]
fn userfaultfd_faults_are_not_handled_by_the_command() {
    assert_eq!(made("userfaultfd"), refused("userfaultfd"));
}

/// CVE-2013-2094, CVE-2020-14351.
#[test]
fn cve_2013_2094_the_kernel_is_not_measured() {
    assert_eq!(made("perf_event_open"), refused("perf_event_open"));
}

/// CVE-2014-3519 as `shocker.c` did it: with a handle any file of a mount's file system is
/// opened, wherever it is.
#[test]
fn cve_2014_3519_no_file_is_opened_by_its_handle() {
    let world = World::new();
    let dir = world.dir().join("volume");
    fs::create_dir(&dir).unwrap();
    let volume = format!("{}:/v", dir.display());
    assert_eq!(
        made_with(&["-v", &volume], "open_by_handle_at"),
        refused("open_by_handle_at")
    );
}

/// CVE-2022-0185: in a user namespace of its own, a command is root and may configure file
/// systems.
#[test]
fn cve_2022_0185_no_user_namespace_to_configure_file_systems_in() {
    assert_eq!(
        made("fsopen_in_a_user_namespace"),
        format!("unshare: errno {0}\nfsopen: errno {0}\n", libc::EPERM)
    );
}

/// `clone` makes namespaces, too.
#[test]
fn cve_2022_0185_clone_makes_no_namespace() {
    assert_eq!(
        made("clone_with_namespace"),
        refused("clone_with_namespace")
    );
}

/// A filter can't see what `clone3` is to make: there is none, so that C libraries use `clone`.
#[test]
fn clone3_does_not_exist() {
    assert_eq!(made("clone3"), format!("clone3: errno {}\n", libc::ENOSYS));
}

/// Without it, what runs can be laid out in memory as it likes.
#[test]
fn address_space_randomisation_stays_on() {
    assert_eq!(made("personality"), refused("personality"));
}

/// CVE-2016-0728, CVE-2014-9529: keys have no namespace.
#[test]
fn cve_2016_0728_there_are_no_keys() {
    assert_eq!(made("keyctl"), refused("keyctl"));
}
