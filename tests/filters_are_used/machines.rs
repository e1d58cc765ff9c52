//! Machines that together do all that their monitors can be asked for.

use std::fs::{self, Permissions};
use std::io::{Read, Write, pipe};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use libc::c_int;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::counter::Counter;
use crate::harness::detached::eventually;
use crate::harness::lan::Lan;
use crate::harness::loop_device::LoopDevice;
use crate::harness::terminal::Terminal;
use crate::harness::{JAULA, World, see, wait};

/// In bytes, more than passes the limited network at once.
const FRAMES: usize = 40_000;

/// What the first machine's command does when it is asked to. This test's program is in its share.
const SERVANT: &str = "
    while read what; do
        case $what in
            files) /d/test --exact --ignored --test-threads=1 in_guest::use_a_file_system >&2 ;;
            disk)
                dd if=/dev/xvda of=/dev/null bs=64k &&
                dd if=/dev/zero of=/dev/xvda bs=4k seek=1 count=2 conv=fsync &&
                blkdiscard -o 524288 -l 65536 /dev/xvda ;;
            network) nc 192.0.2.2 81 < /dev/null > /t/got && nc 192.0.2.2 82 < /t/got ;;
            memory) head -c 1048576 /dev/zero > /t/data && rm /t/data && sleep 4 ;;
        esac 2>/t/said && echo $what done || tr '\\n' ' ' < /t/said
    done";

/// It boots, has a share, a device and a network, and further commands. Of processors it has one: all are
/// of one role.
pub fn one_that_has_everything_of_the_hosts(world: &World, lan: &Lan, device: &LoopDevice) {
    let shared = world.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::copy(std::env::current_exe().unwrap(), shared.join("test")).unwrap();
    let name = format!("{}0", world.name_prefix());
    let volume = format!("{}:/d", shared.display());
    let disk = format!("{}:/dev/xvda", device.path);
    let run = [
        "run", "-i", "--as", "vm", "--start", "cold", "--name", &name,
    ];
    let has = ["--tmpfs", "/t", "-v", &volume, "--device", &disk];
    let network = ["--network", "bridge", "--network-rate", "16k"];
    let command = ["busybox", "sh", "-c", SERVANT];
    let mut servant = Counter::from(world.jaula([&run[..], &has, &network, &command].concat()));
    let [down, up] = [81, 82].map(|port| {
        lan.at_the_neighbours(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap())
    });
    let neighbour = thread::spawn(move || {
        let much = vec![b'x'; FRAMES];
        down.accept().unwrap().0.write_all(&much).unwrap();
        let mut got = Vec::new();
        up.accept().unwrap().0.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), FRAMES);
    });
    for what in ["files", "disk", "network", "memory"] {
        assert_eq!(servant.say(what), format!("{what} done"));
    }
    neighbour.join().unwrap();
    fs::write(shared.join("setuid"), "").unwrap();
    fs::set_permissions(shared.join("setuid"), Permissions::from_mode(0o4777)).unwrap();
    further_commands(world, &name);
    one_that_is_not_read(world, &name, &shared.join("written"));
    assert_eq!(world.run(["kill", &name]).code, Some(0));
    assert_eq!(servant.end(), (Some(137), String::new()));
}

/// What others run in it.
fn further_commands(world: &World, name: &str) {
    let exec = |flags: &[&'static str], command: &[&'static str]| {
        world.jaula([&["exec"], flags, &[name], command].concat())
    };
    let seen = see(exec(&["-i"], &["tee", "/dev/stderr"]), b"read");
    assert_eq!(
        (seen.code, seen.stdout_text().as_str(), seen.stderr.as_str()),
        (Some(0), "read", "read")
    );
    // Without the right to leave a file's set-user-ID bit.
    let append = ["sh", "-c", "echo x >> /d/setuid"];
    let seen = see(exec(&["-d", "-u", "daemon"], &append), b"");
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let script = "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done";
    let mut asked = exec(&[], &["sh", "-c", script]).spawn().unwrap();
    asked
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 3])
        .unwrap();
    kill(Pid::from_raw(asked.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(wait(&mut asked).code(), Some(3));
    let terminal = Terminal::new(30, 100);
    let args = ["exec", "-it", name, "sh"];
    let mut child = terminal.start(world, JAULA, args);
    terminal.expect("# ");
    terminal.resize(31, 101);
    terminal.type_in("sleep 1; stty size\r");
    terminal.expect("31 101");
    drop(terminal);
    wait(&mut child);
}

/// A further command whose output nobody takes for a while: it is in pipes that do not block and take
/// little, on the way there, and in the monitor.
fn one_that_is_not_read(world: &World, name: &str, written: &Path) {
    const SMALL: c_int = 4096;
    const STDERR: usize = 3 * SMALL as usize;
    // More than what is on the way: 208 KiB in a socket (`net.core.wmem_default`), two pipes of the
    // guest's and ours, and a buffer at each end.
    const STDOUT: usize = 330_000;
    let script = format!(
        "head -c {STDERR} /dev/zero >&2; head -c {STDOUT} /dev/zero; echo all > /d/written"
    );
    let mut command = world.jaula(["exec", name, "sh", "-c", &script]);
    let [stdout, stderr] = [(); 2].map(|()| {
        let (output, end) = pipe().unwrap();
        fcntl(&end, FcntlArg::F_SETPIPE_SZ(SMALL)).unwrap();
        fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        (output, end)
    });
    command.stdout(stdout.1).stderr(stderr.1);
    let mut child = command.spawn().unwrap();
    drop(command);
    eventually(|| written.exists());
    let readers = [(stdout.0, STDOUT), (stderr.0, STDERR)].map(|(mut output, bytes)| {
        thread::spawn(move || {
            assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), bytes);
        })
    });
    assert_eq!(wait(&mut child).code(), Some(0));
    for reader in readers {
        reader.join().unwrap();
    }
}

/// It goes on from a template, at a terminal, and is saved; its copy is told when its terminal is
/// closed.
pub fn one_that_is_saved_and_one_that_goes_on(world: &World) {
    let name = format!("{}1", world.name_prefix());
    let run = [
        "run", "--as", "vm", "--start", "warm", "-it", "--name", &name,
    ];
    let script = "echo up; while read line; do stty size; echo \"got $line\"; done; exit 5";
    let first = Terminal::new(30, 100);
    let command = ["busybox", "sh", "-c", script];
    let mut child = first.start(world, JAULA, [&run[..], &command].concat());
    first.expect("up\r\n");
    let saved = world.run(["snapshot", "create", &name, "saved"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    first.resize(31, 101);
    first.type_in("one\r");
    first.expect("31 101\r\ngot one\r\n");
    first.type_in("\x04");
    assert_eq!(wait(&mut child).code(), Some(5));
    let second = Terminal::new(40, 120);
    let restore = ["snapshot", "restore", "-i", "saved"];
    let mut child = second.start(world, JAULA, restore);
    second.expect_raw(true);
    second.type_in("two\r");
    second.expect("40 120\r\ngot two\r\n");
    drop(second);
    wait(&mut child);
    world.assert_no_traces();
}
