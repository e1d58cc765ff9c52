//! What a test does inside a container that no shell can do: this test binary, which is static,
//! is put into the container's root, and one of these runs there.

use std::arch::asm;
use std::fs;
use std::io::Error;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::harness::{Seen, World};

/// What the lines begin with that a probe prints.
const SAYS: &str = "probe: ";

/// A root with busybox and this binary.
pub fn root(world: &World) -> PathBuf {
    let root = world.dir().join("root");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir(root.join("tmp")).unwrap();
    // Debian's package busybox-static.
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    for applet in [
        "cat", "echo", "head", "ls", "mkdir", "mount", "sh", "sleep", "stat", "true",
    ] {
        symlink("busybox", bin.join(applet)).unwrap();
    }
    root
}

/// Puts the probes into the root of a world, and has the command that runs one.
pub fn command(world: &World, probe: &str) -> [String; 6] {
    let path = world.dir().join("root/probe");
    fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    let probe = format!("probe::{probe}");
    let flags = ["--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let [exact, ignored, nocapture, threads] = flags.map(str::to_owned);
    ["/probe".into(), exact, ignored, nocapture, threads, probe]
}

/// Runs a probe in a container: `flags` are those of `jaula run`.
pub fn run(world: &World, flags: &[&str], probe: &str) -> String {
    let root = root(world);
    let command = command(world, probe);
    let command = command.iter().map(String::as_str);
    let flags = [&["run"], flags, &["--rootfs", root.to_str().unwrap()]].concat();
    said(&world.run(flags.into_iter().chain(command)))
}

/// What a probe said.
pub fn said(seen: &Seen) -> String {
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let text = seen.stdout_text();
    let lines = text.lines().filter_map(|line| line.split_once(SAYS));
    lines.map(|(_, said)| format!("{said}\n")).collect()
}

/// Says how a system call ended.
fn tell(what: &str, result: libc::c_long) {
    let errno = Error::last_os_error().raw_os_error();
    match result {
        -1 => println!("{SAYS}{what}: errno {}", errno.unwrap()),
        _ => println!("{SAYS}{what}: done"),
    }
}

#[test]
#[ignore = "runs in a container"]
fn push_a_character_into_the_terminal() {
    let character = b'x';
    for stream in 0..3 {
        // SAFETY: TIOCSTI reads one byte, which lives through the call.
        let pushed = unsafe { libc::ioctl(stream, libc::TIOCSTI, &raw const character) };
        tell("a stream", pushed.into());
    }
    // SAFETY: the path is a C string.
    let terminal = unsafe { libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR) };
    tell("the terminal of the session", terminal.into());
}

#[test]
#[ignore = "runs in a container"]
fn open_sockets_of_all_kinds() {
    for (name, family) in [
        ("unix", libc::AF_UNIX),
        ("inet", libc::AF_INET),
        ("netlink", libc::AF_NETLINK),
        ("alg", libc::AF_ALG),
        ("vsock", libc::AF_VSOCK),
    ] {
        let kind = if family == libc::AF_ALG {
            libc::SOCK_SEQPACKET
        } else {
            libc::SOCK_DGRAM
        };
        // SAFETY: numbers only.
        tell(name, unsafe { libc::socket(family, kind, 0) }.into());
    }
}

/// Makes a system call as 32-bit programs do.
fn call_i386(number: u32, first: u32, second: u32) -> i32 {
    let result: u32;
    // SAFETY: these calls take numbers only, and change nothing but eax and what a call from
    // 64-bit code may change. rbx is the compiler's, so it is put back.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") number => result,
            in("ecx") second,
            in("edx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result.cast_signed()
}

#[test]
#[ignore = "runs in a container"]
fn call_as_a_32_bit_program() {
    // Numbers of arch/x86/entry/syscalls/syscall_32.tbl.
    for (name, number, first, second) in [
        ("getpid", 20, 0, 0),
        ("socket inet", 359, 2, 2),
        ("socket alg", 359, 38, 5),
        ("socketcall", 102, 1, 0),
        ("unshare", 310, 0x1000_0000, 0),
    ] {
        match call_i386(number, first, second) {
            error @ ..0 => println!("{SAYS}{name}: errno {}", -error),
            _ => println!("{SAYS}{name}: done"),
        }
    }
}

#[test]
#[ignore = "runs in a container"]
fn look_for_the_launchers_key() {
    let (kind, name) = (c"user", c"jaula-test");
    // SAFETY: both are C strings.
    let found = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_SEARCH,
            libc::KEY_SPEC_SESSION_KEYRING,
            kind.as_ptr(),
            name.as_ptr(),
            0,
        )
    };
    tell("key", found);
}
