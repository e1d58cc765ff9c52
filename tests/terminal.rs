//! Commands with a terminal of their own, seen from a real one.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::process::Child;
use std::thread;
use std::time::Duration;

use harness::nobody::is_root;
use harness::refused::assert_refused;
use harness::terminal::Terminal;
use harness::{JAULA, Place, World, can_run, see, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Somebody at a terminal who runs a command.
struct Session {
    world: World,
    terminal: Terminal,
    child: Child,
}

impl Session {
    fn start(args: &[&str]) -> Self {
        let world = World::new();
        let terminal = Terminal::new(30, 100);
        let child = terminal.start(&world, JAULA, args.iter().copied());
        Self {
            world,
            terminal,
            child,
        }
    }

    /// With what it ended. Nothing of it is left.
    fn end(&mut self) -> Option<i32> {
        let code = wait(&mut self.child).code();
        self.world.assert_no_traces();
        assert!(!self.terminal.is_raw(), "the terminal is not as it was");
        code
    }

    fn send(&self, signal: Signal) {
        // setsid(1) has become jaula.
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

const RUN: [&str; 5] = ["run", "-it", "busybox", "sh", "-c"];

fn run(script: &str) -> Session {
    Session::start(&[&RUN[..], &[script]].concat())
}

#[test]
fn a_command_has_a_terminal_of_its_own_of_the_size_of_the_users() {
    let mut session = run(
        "tty; stty size; for n in 0 1 2; do test -t $n && echo is $n; done; \
                           echo $TERM; stat -c %t:%T /dev/console /dev/pts/0; echo x >/dev/console; \
                           echo y >/dev/tty; exit 7",
    );
    assert_eq!(session.end(), Some(7));
    assert_eq!(
        session.terminal.shown(),
        "/dev/pts/0\r\n30 100\r\nis 0\r\nis 1\r\nis 2\r\nxterm\r\n88:0\r\n88:0\r\nx\r\ny\r\n"
    );
}

#[test]
fn with_an_init_the_command_has_it_as_well() {
    let args = ["run", "-it", "--init", "busybox", "sh", "-c"];
    let script = "trap 'echo interrupted; exit 3' INT; tty; echo up; while :; do sleep 0.1; done";
    let mut session = Session::start(&[&args[..], &[script]].concat());
    session.terminal.expect("/dev/pts/0\r\nup\r\n");
    session.terminal.type_in("\x03");
    assert_eq!(session.end(), Some(3));
    session.terminal.expect("interrupted");
}

#[test]
fn each_key_goes_to_the_command_and_means_there_what_it_means() {
    let mut session = run("trap 'echo interrupted' INT; echo up; \
                           until read line && test -n \"$line\"; do :; done; echo \"got $line\"; cat; exit 4");
    session.terminal.expect("up\r\n");
    session.terminal.expect_raw(true);
    session.terminal.type_in("\x03");
    session.terminal.expect("interrupted");
    session.terminal.type_in("one\r");
    session.terminal.expect("got one\r\n");
    session.terminal.type_in("two\r\x04");
    assert_eq!(session.end(), Some(4));
    // Once as its terminal shows what is typed, once from cat.
    session.terminal.expect("two\r\ntwo\r\n");
}

#[test]
fn jobs_are_stopped_and_go_on_inside() {
    let mut session = Session::start(&["run", "-it", "busybox", "sh"]);
    session.terminal.expect("# ");
    // What comes with a line the shell keeps.
    session.terminal.type_in("echo up; cat\r");
    session.terminal.expect("up\r\n");
    session.terminal.type_in("to the cat\r");
    session.terminal.expect("to the cat\r\nto the cat\r\n");
    session.terminal.type_in("\x1a");
    session.terminal.expect("Stopped");
    session.terminal.type_in("fg\r");
    session.terminal.expect("fg\r\ncat\r\n");
    session.terminal.type_in("back again\r");
    session.terminal.expect("back again\r\nback again\r\n");
    session.terminal.type_in("\x04");
    session.terminal.type_in("echo left; exit 5\r");
    assert_eq!(session.end(), Some(5));
}

#[test]
fn a_window_of_another_size_is_told_to_the_command() {
    let mut session = run("trap 'stty size; exit 6' WINCH; echo up; while :; do sleep 0.1; done");
    session.terminal.expect("up");
    session.terminal.expect_raw(true);
    session.terminal.resize(40, 120);
    assert_eq!(session.end(), Some(6));
    session.terminal.expect("40 120");
}

#[test]
fn the_users_terminal_is_as_it_was_however_the_command_ends() {
    let server = "echo up; while :; do sleep 0.1; done";
    for (signals, code) in [
        (&[Signal::SIGTERM][..], 143),
        (&[Signal::SIGINT, Signal::SIGINT, Signal::SIGINT], 137),
    ] {
        let flags = ["run", "-it", "--init", "busybox", "sh", "-c"];
        let mut session = Session::start(&[&flags[..], &[server]].concat());
        session.terminal.expect("up");
        session.terminal.expect_raw(true);
        for signal in signals {
            session.send(*signal);
            // Two that are held back at once are one.
            thread::sleep(Duration::from_millis(100));
        }
        let code_seen = session.end();
        assert!(
            code_seen == Some(code) || code_seen == Some(130),
            "{code_seen:?}"
        );
    }
    let mut session = Session::start(&["run", "-it", "busybox", "no-such-command"]);
    assert_eq!(session.end(), Some(127));
    session.terminal.expect("no-such-command");
}

#[test]
fn who_stops_jaula_has_the_terminal_back_until_it_goes_on() {
    let mut session = run("echo up; read line; echo \"got $line\"");
    session.terminal.expect("up");
    session.terminal.expect_raw(true);
    session.send(Signal::SIGTSTP);
    session.terminal.expect_raw(false);
    session.send(Signal::SIGCONT);
    session.terminal.expect_raw(true);
    session.terminal.type_in("on\r");
    assert_eq!(session.end(), Some(0));
    session.terminal.expect("got on");
}

#[test]
fn without_interactive_nothing_is_typed_into_it() {
    let mut session =
        Session::start(&["run", "-t", "busybox", "sh", "-c", "tty; echo up; sleep 1"]);
    // Each line ends twice: the user's terminal is as it was.
    session.terminal.expect("/dev/pts/0\r\r\nup");
    assert!(!session.terminal.is_raw());
    assert_eq!(session.end(), Some(0));
}

#[test]
fn a_terminal_for_what_is_not_typed_is_refused() {
    let world = World::new();
    let seen = see(world.jaula(["run", "-it", "busybox", "cat"]), b"piped");
    assert_refused(&world, &seen, &["the input device is not a TTY", "--tty"]);
}

#[test]
fn what_a_terminal_shows_can_go_to_a_pipe_and_is_hung_up_when_nobody_reads() {
    let world = World::new();
    let seen = world.run(["run", "-t", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(seen.stdout_text(), "out\r\nerr\r\n");
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let line = format!("{JAULA} run -t busybox yes | head -n 1");
    assert_eq!(
        see(world.command("sh", ["-c", &line]), b"").stdout_text(),
        "y\r\n"
    );
    world.assert_no_traces();
}

#[test]
fn all_that_was_shown_is_seen_however_much_it_is() {
    let world = World::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done";
    let seen = world.run(["run", "-t", "busybox", "sh", "-c", script]);
    let expected: String = (0..20000).map(|i| format!("{i}\r\n")).collect();
    assert!(
        seen.stdout_text() == expected,
        "{} bytes",
        seen.stdout.len()
    );
}

#[test]
fn it_is_the_users_who_is_not_root() {
    if !is_root() {
        return;
    }
    let args = ["run", "-it", "-u", "1000:1000", "busybox", "sh", "-c"];
    let script = "stat -c %u:%a /dev/pts/0; echo x >/dev/pts/0; echo y >/dev/tty";
    let mut session = Session::start(&[&args[..], &[script]].concat());
    assert_eq!(session.end(), Some(0));
    assert_eq!(session.terminal.shown(), "1000:620\r\nx\r\ny\r\n");
}

#[test]
fn a_detached_one_logs_what_its_terminal_shows() {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let script = "tty; echo out; echo err >&2";
    let args = [
        "run", "-d", "-t", "--name", &name, "busybox", "sh", "-c", script,
    ];
    let started = world.run(args);
    assert_eq!((started.code, started.stderr.as_str()), (Some(0), ""));
    assert_eq!(world.run(["wait", &name]).stdout_text(), "0\n");
    let logged = world.run(["logs", &name]);
    assert_eq!(logged.stdout_text(), "/dev/pts/0\r\nout\r\nerr\r\n");
    assert_eq!(logged.stderr, "");
    let tty = world.run(["inspect", "-f", ".Config.Tty", &name]);
    assert_eq!(tty.stdout_text(), "true\n");
    world.run(["rm", &name]);
    world.assert_no_traces();
}

/// As for a shell. Process 1 of a container takes no notice of SIGHUP, so that is not enough.
#[test]
fn when_the_users_terminal_is_closed_the_command_ends() {
    let Session {
        world,
        terminal,
        mut child,
    } = Session::start(&["run", "-it", "busybox", "sh"]);
    terminal.expect("# ");
    drop(terminal);
    wait(&mut child);
    world.assert_no_traces();
}

/// The same in a guest: what is typed, shown, resized and hung up goes over connections.
#[test]
fn a_vms_command_has_a_terminal_that_does_all_that_one_does() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let script = "tty; stty size; for n in 0 1 2; do test -t $n && echo is $n; done; echo $TERM; \
                  stat -c %u:%a /dev/pts/0; echo x >/dev/tty; trap 'stty size' WINCH; \
                  trap 'echo interrupted' INT; echo up; \
                  until read line && test -n \"$line\"; do :; done; echo \"got $line\"; cat; exit 4";
    let args = [
        "run", "--as", "vm", "-it", "-u", "1000", "busybox", "sh", "-c", script,
    ];
    let mut session = Session::start(&args);
    session
        .terminal
        .expect("/dev/pts/0\r\n30 100\r\nis 0\r\nis 1\r\nis 2\r\nxterm\r\n1000:620\r\nx\r\nup\r\n");
    session.terminal.expect_raw(true);
    session.terminal.resize(40, 120);
    session.terminal.expect("40 120\r\n");
    session.terminal.type_in("\x03");
    session.terminal.expect("interrupted\r\n");
    session.terminal.type_in("one\r");
    session.terminal.expect("got one\r\n");
    session.terminal.type_in("two\r\x04");
    assert_eq!(session.end(), Some(4));
    session.terminal.expect("two\r\ntwo\r\n");
}

#[test]
fn a_saved_command_goes_on_at_another_terminal() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let first = Terminal::new(30, 100);
    let run = ["run", "--as", "vm", "--name", &name, "-it", "busybox"];
    let script = "echo up; while read line; do stty size; echo \"got $line\"; done; exit 5";
    let mut child = first.start(&world, JAULA, [&run[..], &["sh", "-c", script]].concat());
    first.expect("up\r\n");
    let saved = world.run(["snapshot", "create", &name, "saved"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    first.type_in("\x04");
    assert_eq!(wait(&mut child).code(), Some(5));

    let second = Terminal::new(40, 120);
    let restore = ["snapshot", "restore", "-i", "saved"];
    let mut child = second.start(&world, JAULA, restore);
    second.expect_raw(true);
    second.type_in("one\r");
    // As the command's terminal shows what is typed, and only that one.
    second.expect("one\r\n40 120\r\ngot one\r\n");
    assert!(!second.shown().contains("one\r\none"));
    second.type_in("\x04");
    assert_eq!(wait(&mut child).code(), Some(5));
    assert!(!second.is_raw());
    world.assert_no_traces();
}

#[test]
fn when_the_users_terminal_is_closed_a_vms_command_ends() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let Session {
        world,
        terminal,
        mut child,
    } = Session::start(&["run", "--as", "vm", "-it", "busybox", "sh"]);
    terminal.expect("# ");
    drop(terminal);
    wait(&mut child);
    world.assert_no_traces();
}

#[test]
fn when_the_users_terminal_is_closed_while_a_vm_boots_it_ends() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let args = [
        "run", "--as", "vm", "--start", "cold", "-it", "busybox", "sh",
    ];
    let Session {
        world,
        terminal,
        mut child,
    } = Session::start(&args);
    // Its directory is made when it is launched.
    while fs::read_dir(world.run_dir()).map_or(0, |dir| dir.count()) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    drop(terminal);
    wait(&mut child);
    world.assert_no_traces();
}

#[test]
fn what_a_vms_terminal_shows_can_go_to_a_pipe_and_is_hung_up_when_nobody_reads() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let script = "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i + 1)); done; echo err >&2; exit 3";
    let seen = world.run(["run", "--as", "vm", "-t", "busybox", "sh", "-c", script]);
    let mut expected: String = (0..100).map(|i| format!("{i}\r\n")).collect();
    expected.push_str("err\r\n");
    assert!(seen.stdout_text() == expected, "{}", seen.stdout_text());
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(3), ""));
    let line = format!("{JAULA} run --as vm -t busybox yes | head -n 1");
    let seen = see(world.command("sh", ["-c", &line]), b"");
    assert_eq!(seen.stdout_text(), "y\r\n");
    world.assert_no_traces();
}
