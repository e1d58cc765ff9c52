//! A guest's PID 1 is played by the test.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use guest_protocol::{
    End, Entropy, Incarnation, Ports, Start, Task, ToGuest, ToHost, read_message, write_message,
};
use launch::{Chain, ExitStatus, Instance, Running, Stdio};
use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;

use super::instance::QemuInstance;
use super::meeting::{Listeners, Meeting};
use crate::processes::spawned::{self, Role, Spawned};

fn listeners() -> Listeners {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Listeners {
        control: listen(),
        stdin: listen(),
        stdout: listen(),
        stderr: listen(),
    }
}

/// Where a guest calls: control, input, output, error.
fn addresses(listeners: &Listeners) -> [SocketAddr; 4] {
    let Listeners {
        control,
        stdin,
        stdout,
        stderr,
    } = listeners;
    [control, stdin, stdout, stderr].map(|it| it.local_addr().unwrap())
}

fn start() -> io::Result<Start> {
    let workload = launch::fake::workload();
    Ok(Start {
        task: Task {
            command: workload.command,
            hostname: workload.hostname.clone(),
            files: entry::NameFiles::without_network(&workload.hostname, &workload.names).unwrap(),
            mounts: Vec::new(),
            disks: Vec::new(),
            terminal: None,
            init: false,
            ulimits: Vec::new(),
            read_only: false,
            pids: None,
            security: workload.security,
        },
        incarnation: Incarnation {
            entropy: Entropy::filled(|_| io::Result::Ok(()))?,
            wall_clock_ns: 0,
            interface: None,
        },
        disk_sectors: 8,
    })
}

/// An instance of which QEMU is this shell's script, with what its command writes to standard output.
fn instance(script: &str, listeners: Listeners, stdin: File) -> (QemuInstance, impl Read) {
    let (serial, its_stdout) = io::pipe().unwrap();
    let (complaints, its_stderr) = io::pipe().unwrap();
    let mut program = Command::new("sh");
    program.args(["-c", script]);
    let its_own = Stdio {
        stdout: its_stdout.into(),
        stderr: its_stderr.into(),
        ..Stdio::null().unwrap()
    };
    let start_qemu = spawned::Start::now(program, its_own, Role::Helper, || Ok(()));
    let process = Spawned::start(start_qemu);
    let (output, stdout) = io::pipe().unwrap();
    let stdio = Stdio {
        stdin: stdin.into(),
        stdout: stdout.into(),
        ..Stdio::null().unwrap()
    };
    let said = [serial, complaints];
    let instance = QemuInstance::new(process.unwrap(), listeners, said, stdio, start).unwrap();
    (instance, output)
}

fn nothing() -> File {
    File::open("/dev/null").unwrap()
}

fn refused(instance: &QemuInstance) -> String {
    Chain(&instance.wait(None).unwrap_err()).to_string()
}

#[test]
fn a_command_has_its_input_and_its_output_is_there_when_its_end_is() {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"typed").unwrap();
    io::Seek::rewind(&mut input).unwrap();
    let listeners = listeners();
    let addresses = addresses(&listeners);
    let guest = thread::spawn(move || {
        let [mut control, mut stdin, mut stdout, stderr] =
            addresses.map(|address| TcpStream::connect(address).unwrap());
        let Some(ToGuest::Start(told)) = read_message(&mut control).unwrap() else {
            panic!("told something else than what to run");
        };
        assert_eq!(told.disk_sectors, 8);
        let mut typed = Vec::new();
        stdin.read_to_end(&mut typed).unwrap();
        stdout.write_all(&typed).unwrap();
        stdout.write_all(b"\0\x1b\r\nmore").unwrap();
        for output in [stdout, stderr] {
            output.shutdown(Shutdown::Write).unwrap();
        }
        let answer = ToHost::Ended(End {
            status: ExitStatus::Exited(7),
            out_of_memory: false,
        });
        write_message(&mut control, &answer).unwrap();
        // It does nothing more, and is killed.
        assert!(matches!(control.read(&mut [0]), Ok(0) | Err(_)));
    });
    let (instance, mut output) = instance("sleep 1000", listeners, input);
    assert_eq!(instance.wait(None).unwrap(), Some(ExitStatus::Exited(7)));
    assert_eq!(instance.wait(None).unwrap(), Some(ExitStatus::Exited(7)));
    let mut written = Vec::new();
    output.read_to_end(&mut written).unwrap();
    assert_eq!(written, b"typed\0\x1b\r\nmore");
    let names: Vec<_> = instance
        .timeline()
        .spans()
        .iter()
        .map(|span| span.name.clone())
        .collect();
    assert_eq!(names, ["boot, connect", "run"]);
    guest.join().unwrap();
}

#[test]
fn why_qemu_ended_is_told_in_its_own_words() {
    for (script, said) in [
        (
            "exit 1",
            "QEMU ended before the command did, and said nothing",
        ),
        (
            "echo 'error: failed to set MSR 0x10a' >&2; echo Aborted >&2; exit 134",
            "QEMU could not run it: error: failed to set MSR 0x10a",
        ),
        (
            "echo 'jaula-init: no disk'; echo 'Kernel panic - not syncing: no init'",
            "QEMU could not run it: jaula-init: no disk",
        ),
        // It stands still after that.
        (
            "echo 'KVM internal error. Suberror: 1' >&2; sleep 1000",
            "QEMU could not run it: KVM internal error. Suberror: 1",
        ),
    ] {
        let (instance, _) = instance(script, listeners(), nothing());
        assert_eq!(refused(&instance), said, "{script}");
        assert_eq!(refused(&instance), said, "the second time: {script}");
    }
}

#[test]
fn a_guest_that_talks_nonsense_is_ended() {
    let listeners = listeners();
    let addresses = addresses(&listeners);
    let guest = thread::spawn(move || {
        let [mut control, ..] = addresses.map(|address| TcpStream::connect(address).unwrap());
        control.write_all(&u32::MAX.to_le_bytes()).unwrap();
        let _ = control.read_to_end(&mut Vec::new());
    });
    let (instance, _) = instance("sleep 1000", listeners, nothing());
    let said = refused(&instance);
    assert!(
        said.starts_with("the guest in QEMU can't be talked to"),
        "{said}"
    );
    guest.join().unwrap();
}

#[test]
fn one_that_hangs_is_gone_with_its_instance() {
    let calls: [fn([SocketAddr; 4]) -> Vec<TcpStream>; 2] = [
        |_| Vec::new(),
        // It never answers.
        |addresses| addresses.map(|it| TcpStream::connect(it).unwrap()).into(),
    ];
    for call in calls {
        let listeners = listeners();
        let addresses = addresses(&listeners);
        let (instance, _) = instance("sleep 1000", listeners, nothing());
        let calls = call(addresses);
        assert_eq!(
            instance.wait(Some(Duration::from_millis(50))).unwrap(),
            None
        );
        let pid = instance.pid().unwrap();
        // The guest is played from outside, so its end does not come with QEMU's.
        drop(calls);
        drop(instance);
        let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
        assert_eq!(gone, Err(nix::errno::Errno::ESRCH));
    }
}

#[test]
fn nobody_else_meets_there() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can make a network namespace");
        return;
    }
    let meeting = Arc::new(Meeting::new().unwrap());
    let listeners = meeting.listen().unwrap();
    let control = (Ipv4Addr::LOCALHOST, Ports::COMMAND.control as u16);
    assert_eq!(addresses(&listeners)[0], control.into());
    // Nobody listens there outside.
    TcpStream::connect(control).unwrap_err();
    let guest = thread::spawn(move || {
        setns(meeting.namespace(), CloneFlags::CLONE_NEWNET).unwrap();
        TcpStream::connect(control).unwrap()
    });
    listeners.control.accept().unwrap();
    guest.join().unwrap();
    listeners.close();
    listeners.control.accept().unwrap_err();
}
