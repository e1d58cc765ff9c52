//! What a test does inside a container that no shell can do: this test binary, which is static,
//! is put into the container's root, and one of these runs there.

use std::arch::asm;
use std::fs::{self, File};
use std::io::{Error, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

#[test]
#[ignore = "runs in a container"]
fn say_who_it_is() {
    // SAFETY: takes nothing.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    println!("{SAYS}{user} {group}");
}

#[test]
#[ignore = "runs in a container"]
fn ask_for_the_seals_of_process_1() {
    let file = File::open("/proc/1/exe").unwrap();
    // SAFETY: numbers only.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    println!("{SAYS}{seals}");
}

/// Makes the call that the variable CALL names, with arguments that do little, and that the kernel
/// takes where nothing but a filter stands before it.
#[test]
#[ignore = "runs in a container"]
fn make_a_call() {
    const CLONE_NEWUSER: libc::c_long = libc::CLONE_NEWUSER as libc::c_long;
    let call = std::env::var("CALL").unwrap();
    let zeros = [0_u8; 256];
    let zeros = zeros.as_ptr();
    // SAFETY: what is passed by address is a C string, or lives through the call and is as long as
    // what the kernel reads or writes there. A child that is cloned ends at once.
    let result = unsafe {
        match call.as_str() {
            "io_uring_setup" => {
                let mut parameters = [0_u8; 256];
                libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr())
            }
            // Of an unknown command, which is EINVAL.
            "bpf" => libc::syscall(libc::SYS_bpf, 1000, zeros, 0),
            // UFFD_USER_MODE_ONLY.
            "userfaultfd" => libc::syscall(libc::SYS_userfaultfd, 1),
            "perf_event_open" => {
                // Of a size that is too small, which is E2BIG.
                let mut attributes = [0_u8; 256];
                attributes[4] = 1;
                let attributes = attributes.as_mut_ptr();
                libc::syscall(libc::SYS_perf_event_open, attributes, 0, -1, -1, 0)
            }
            "open_by_handle_at" => open_by_handle(),
            "fsopen_in_a_user_namespace" => {
                tell("unshare", libc::syscall(libc::SYS_unshare, CLONE_NEWUSER));
                tell(
                    "fsopen",
                    libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0),
                );
                return;
            }
            "clone_with_namespace" => {
                let flags = CLONE_NEWUSER | libc::c_long::from(libc::SIGCHLD);
                match libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) {
                    0 => libc::_exit(0),
                    result => result,
                }
            }
            // With a size that is too small, which is EINVAL.
            "clone3" => libc::syscall(libc::SYS_clone3, zeros, 1),
            "personality" => libc::syscall(libc::SYS_personality, libc::ADDR_NO_RANDOMIZE),
            "keyctl" => libc::syscall(
                libc::SYS_keyctl,
                libc::KEYCTL_GET_KEYRING_ID,
                libc::KEY_SPEC_PROCESS_KEYRING,
                1,
            ),
            _ => panic!("what is {call}?"),
        }
    };
    tell(&call, result);
}

/// Opens the volume `/v` by its handle.
fn open_by_handle() -> libc::c_long {
    /// `struct file_handle` of `include/linux/fs.h`, with room for any.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        handle: [u8; libc::MAX_HANDLE_SZ as usize],
    }
    let mut handle = Handle {
        bytes: libc::MAX_HANDLE_SZ as u32,
        kind: 0,
        handle: [0; libc::MAX_HANDLE_SZ as usize],
    };
    let volume = File::open("/v").unwrap();
    let mut mount = 0;
    // SAFETY: the path is a C string; the handle has as many bytes as it says, and lives through
    // both calls.
    unsafe {
        let named = libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            c"/v".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            0,
        );
        assert_eq!(named, 0, "{}", Error::last_os_error());
        libc::syscall(
            libc::SYS_open_by_handle_at,
            volume.as_raw_fd(),
            &raw mut handle,
            libc::O_RDONLY,
        )
    }
}

/// Whether it is a directory that is neither this root nor one that has only a null device, which
/// is made for the command.
fn is_of_the_host(path: &Path) -> bool {
    // Once, as its number may be another's when it is looked at again.
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path);
    let Ok(dir) = opened else {
        return false;
    };
    let which = |it: fs::Metadata| (it.dev(), it.ino());
    let (found, root) = (dir.metadata().unwrap(), fs::metadata("/").unwrap());
    let entries = fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let mut entries = entries.into_iter().flatten().flatten();
    which(found) != which(root) && entries.any(|entry| entry.file_name() != "null")
}

/// Looks at each process that comes, until there is a file `/stop`: at programs that are not of
/// this root, and at directories of the host's that it has open. Then it tries to overwrite the former.
#[test]
#[ignore = "runs in a container"]
fn look_at_who_enters() {
    let known = ["/probe", "/bin/busybox"].map(|path| fs::metadata(path).unwrap().ino());
    let mut programs = Vec::new();
    let mut directories = 0;
    println!("{SAYS}ready");
    while !Path::new("/stop").exists() {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let path = process.path();
            let name = process.file_name();
            if !name
                .to_string_lossy()
                .starts_with(|first: char| first.is_ascii_digit())
            {
                continue;
            }
            let program = File::options()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(path.join("exe"));
            let Ok(program) = program else {
                continue;
            };
            if known.contains(&program.metadata().unwrap().ino()) {
                continue;
            }
            for open in fs::read_dir(path.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
            {
                directories += u32::from(is_of_the_host(&open.path()));
            }
            programs.push(program);
        }
    }
    println!("{SAYS}seen: {}", !programs.is_empty());
    println!("{SAYS}directories: {directories}");
    if let Some(program) = programs.first() {
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        let start = Instant::now();
        let written = loop {
            match File::options().write(true).open(&path) {
                // As long as it is executed.
                Err(error)
                    if error.raw_os_error() == Some(libc::ETXTBSY)
                        && start.elapsed() < Duration::from_secs(10) => {}
                opened => break opened.and_then(|mut file| file.write_all(b"#!")),
            }
        };
        match written {
            Ok(()) => println!("{SAYS}overwritten"),
            Err(error) => println!("{SAYS}kept: errno {}", error.raw_os_error().unwrap()),
        }
    }
}
