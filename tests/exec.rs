//! Further commands in instances that run.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::ann::{Ann, Ranges};
use harness::nobody::is_root;
use harness::terminal::Terminal;
use harness::{JAULA, Seen, World, see, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Goes on until it is asked to end.
const SERVER: &str = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done";

/// Longest that something takes which needs no time.
const SOON: Duration = Duration::from_secs(60);

/// An instance that runs.
struct Instance {
    world: World,
    name: String,
}

impl Instance {
    fn start(flags: &[&str]) -> Self {
        Self::running(flags, SERVER)
    }

    /// One whose command says "up" when others may enter.
    fn running(flags: &[&str], script: &str) -> Self {
        let world = World::new();
        let name = format!("{}0", world.name_prefix());
        let args = [&["run", "-d", "--name", &name], flags, &["busybox"]].concat();
        let started = world.run([&args[..], &["sh", "-c", script]].concat());
        assert_eq!((started.code, started.stderr.as_str()), (Some(0), ""));
        eventually(|| world.run(["logs", &name]).stdout_text().contains("up\n"));
        Self { world, name }
    }

    /// `jaula exec` with flags, and a command in it.
    fn exec(&self, flags: &[&str], command: &[&str]) -> Seen {
        see(self.world.jaula(self.args(flags, command)), b"")
    }

    fn args<'a>(&'a self, flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        [&["exec"], flags, &[&self.name], command].concat()
    }

    /// What a script prints that ends well.
    fn says(&self, flags: &[&str], script: &str) -> String {
        let seen = self.exec(flags, &["sh", "-c", script]);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{script}");
        seen.stdout_text()
    }

    /// Ends it; nothing of it is left.
    fn end(self) {
        self.world.run(["rm", "-f", &self.name]);
        self.world.assert_no_traces();
    }
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "it never comes");
        thread::sleep(Duration::from_millis(20));
    }
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

#[test]
fn a_command_has_the_callers_streams_and_its_own_exit_code() {
    let instance = Instance::start(&[]);
    let seen = instance.exec(&[], &["sh", "-c", "echo out; echo err >&2; cat; exit 7"]);
    assert_eq!(seen.stdout_text(), "out\n");
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(7), "err\n"));
    let seen = see(
        instance.world.jaula(instance.args(&["-i"], &["cat"])),
        b"read",
    );
    assert_eq!((seen.code, seen.stdout_text().as_str()), (Some(0), "read"));
    let killed = instance.exec(&[], &["sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, Some(137));
    instance.end();
}

#[test]
fn what_can_not_be_done_has_dockers_code_and_one_line() {
    let instance = Instance::start(&[]);
    let name = &instance.name;
    for (flags, command, code, said) in [
        (&[][..], "no-such-command", 127, "no-such-command"),
        (&[], "/etc", 126, "can't be executed"),
        (&["-w", "/nonexistent"], "true", 125, "working directory"),
        (&["-w", "relative"], "true", 125, "not an absolute path"),
        (&["-u", "no-such-user"], "true", 125, "no-such-user"),
        (&["--env-file", "/nonexistent"], "true", 125, "/nonexistent"),
        (&["-d"], "no-such-command", 127, "no-such-command"),
        (&["-d", "-i"], "no-such-command", 127, "no-such-command"),
        (&["-d", "-t"], "no-such-command", 127, "no-such-command"),
        (
            &["-d", "-t", "-w", "/nonexistent"],
            "true",
            125,
            "working directory",
        ),
        (&["-it"], "true", 125, "the input device is not a TTY"),
    ] {
        let seen = instance.exec(flags, &[command]);
        assert_eq!(seen.code, Some(code), "{flags:?}: {}", seen.stderr);
        assert!(seen.stderr.contains(said), "{flags:?}: {}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
        assert_eq!(seen.stdout_text(), "");
    }
    let none = instance.world.run(["exec", "no-such", "true"]);
    assert_eq!(none.code, Some(1));
    assert_eq!(none.stderr, "jaula: no such instance: no-such\n");
    instance.world.run(["pause", name]);
    let paused = instance.exec(&[], &["true"]);
    assert_eq!(paused.code, Some(1));
    let expected =
        format!("jaula: instance {name} is paused; let it go on first, with jaula unpause\n");
    assert_eq!(paused.stderr, expected);
    instance.world.run(["stop", name]);
    let ended = instance.exec(&[], &["true"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        format!("jaula: instance {name} is not running\n")
    );
    instance.end();
}

#[test]
fn it_is_where_the_instances_own_command_is() {
    let instance = Instance::running(
        &["-h", "web", "--tmpfs", "/data", "-w", "/data"],
        &format!("echo there >/data/file; {SERVER}"),
    );
    assert_eq!(
        instance.says(&[], "hostname; pwd; cat /data/file; cat /proc/1/comm"),
        "web\n/data\nthere\nsh\n"
    );
    for namespace in ["mnt", "pid", "uts", "ipc", "net", "cgroup", "user"] {
        let script = format!("for of in self 1; do readlink /proc/$of/ns/{namespace}; done");
        let said = instance.says(&[], &script);
        let links: Vec<_> = said.lines().collect();
        assert!(links.len() == 2 && links[0] == links[1], "{said}");
    }
    instance.end();
}

#[test]
fn it_has_the_rights_and_limits_of_the_instances_own_command() {
    for flags in [
        &[][..],
        &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
        &["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"],
        &["--security-opt", "no-new-privileges=false"],
        &["--ulimit", "nofile=99:100", "--ulimit", "nproc=77"],
        &["-u", "1000:1001", "--group-add", "7"],
        &["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"],
        &["--init"],
        &["--network", "host"],
    ] {
        let instance = Instance::start(flags);
        let rights = "/^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask)/";
        let said = instance.says(
            &[],
            &format!(
                "awk '{rights}' /proc/self/status >/tmp/own; awk '{rights}' /proc/1/status >/tmp/first; \
                 cmp /tmp/own /tmp/first; cmp /proc/self/limits /proc/1/limits; \
                 cmp /proc/self/cgroup /proc/1/cgroup"
            ),
        );
        assert_eq!(said, "", "{flags:?}");
        instance.end();
    }
}

#[test]
fn it_uses_up_what_the_instance_may_use() {
    if !is_root() {
        return;
    }
    let instance = Instance::start(&["-m", "32m", "--pids-limit", "8"]);
    let seen = instance.exec(&[], &["sh", "-c", "tail -c 100m /dev/zero"]);
    assert_eq!(seen.code, Some(137), "{}", seen.stderr);
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    let seen = instance.exec(&[], &["sh", "-c", script]);
    assert!(seen.stderr.contains("can't fork"), "{}", seen.stderr);
    instance.end();
}

#[test]
fn its_environment_is_the_instances_and_what_is_typed() {
    let instance = Instance::start(&["-e", "A=run", "-e", "B=run"]);
    let file = instance.world.dir().join("env");
    fs::write(&file, "C=file\nD=file\n").unwrap();
    let flags = ["-e", "B=typed", "--env-file", file.to_str().unwrap()];
    let flags = [&flags[..], &["-e", "D=typed", "-u", "daemon", "-w", "/tmp"]].concat();
    let said = instance.says(&flags, "echo $A $B $C $D $HOME; pwd; id -un");
    assert_eq!(said, "run typed file typed /\n/tmp\ndaemon\n");
    assert_eq!(
        instance.says(&[], "echo $A $B $HOME; id -u"),
        "run run /root\n0\n"
    );
    instance.end();
}

#[test]
fn signals_reach_it_and_it_dies_with_its_caller() {
    let instance = Instance::start(&[]);
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let start = || {
        let args = instance.args(&[], &["sh", "-c", script]);
        let mut child = instance.world.jaula(args).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        child
    };
    let mut asked = start();
    send(&asked, Signal::SIGTERM);
    assert_eq!(wait(&mut asked).code(), Some(3));
    let mut killed = start();
    let is_there = || {
        instance.says(
            &[],
            "cat /proc/*/cmdline 2>/dev/null | grep -c 'echo [a]sked' || :",
        ) != "0\n"
    };
    assert!(is_there());
    send(&killed, Signal::SIGKILL);
    assert_eq!(wait(&mut killed).signal(), Some(9));
    eventually(|| !is_there());
    instance.end();
}

#[test]
fn a_detached_one_goes_on_until_the_instance_ends() {
    let instance = Instance::start(&[]);
    let seen = instance.exec(
        &["-d"],
        &["sh", "-c", "sleep 0.5; echo done >/tmp/said; sleep 1000"],
    );
    assert_eq!(
        (seen.code, seen.stdout_text().as_str(), seen.stderr.as_str()),
        (Some(0), "", "")
    );
    eventually(|| instance.says(&[], "cat /tmp/said 2>/dev/null || :") == "done\n");
    assert_eq!(
        instance.says(
            &[],
            "grep -c '^sleep.1000' /proc/*/cmdline 2>/dev/null | grep -c ':1$'"
        ),
        "1\n"
    );
    instance.end();
}

#[test]
fn the_end_of_the_instance_is_the_end_of_what_is_in_it() {
    let instance = Instance::start(&[]);
    let args = instance.args(&[], &["sleep", "1000"]);
    let mut child = instance.world.jaula(args).spawn().unwrap();
    eventually(|| {
        instance.says(
            &[],
            "grep -c '^sleep.1000' /proc/*/cmdline 2>/dev/null | grep -c ':1$' || :",
        ) == "1\n"
    });
    assert_eq!(instance.world.run(["stop", &instance.name]).code, Some(0));
    assert_eq!(wait(&mut child).code(), Some(137));
    instance.end();
}

#[test]
fn one_with_a_terminal_is_like_a_login() {
    let instance = Instance::start(&["--init"]);
    let terminal = Terminal::new(30, 100);
    let args = instance.args(&["-it"], &["sh"]);
    let mut child = terminal.start(&instance.world, JAULA, args);
    terminal.expect("# ");
    terminal.expect_raw(true);
    terminal.type_in("tty; stty size; echo $TERM; test -c /dev/tty && echo up\r");
    terminal.expect("/dev/pts/0\r\n30 100\r\nxterm\r\nup\r\n");
    terminal.resize(31, 101);
    terminal.type_in("sleep 0.2; stty size; echo again\r");
    terminal.expect("31 101\r\nagain\r\n");
    terminal.type_in("sleep 1000; echo interrupted\r");
    thread::sleep(Duration::from_millis(300));
    terminal.type_in("\x03");
    thread::sleep(Duration::from_millis(100));
    terminal.type_in("exit 5\r");
    assert_eq!(wait(&mut child).code(), Some(5));
    terminal.expect_raw(false);
    instance.end();
}

#[test]
fn an_instance_in_the_foreground_can_be_entered_too() {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let mut first = world
        .jaula(["run", "-i", "--name", &name, "busybox", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(|| world.run(["ps", "-q"]).stdout_text() != "");
    assert_eq!(
        world
            .run(["exec", &name, "cat", "/proc/1/comm"])
            .stdout_text(),
        "cat\n"
    );
    let mut input = first.stdin.take().unwrap();
    input.write_all(b"still there\n").unwrap();
    drop(input);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.stdout, b"still there\n");
    world.assert_no_traces();
}

#[test]
fn many_are_in_it_at_once() {
    let instance = Instance::start(&[]);
    let children: Vec<_> = (0..20)
        .map(|number| {
            let script = format!("sleep 0.2; echo {number}");
            let command = ["sh", "-c", &script];
            let args = [&["exec", &instance.name][..], &command].concat();
            instance.world.jaula(args).spawn().unwrap()
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let said = child.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8(said).unwrap(), format!("{number}\n"));
    }
    instance.end();
}

#[test]
fn an_ordinary_user_enters_what_is_its_own() {
    for ranges in [Ranges::Given, Ranges::None] {
        let Some(ann) = Ann::new(ranges) else {
            return;
        };
        let name = format!("{}0", ann.world.name_prefix());
        let script = "touch /tmp/mine; echo up; while :; do sleep 0.1; done";
        ann.says(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script]);
        eventually(|| ann.run(&["logs", &name]).stdout_text() == "up\n");
        let rights = "/^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)/";
        let script = format!(
            "id -u; ls /tmp; cat /proc/1/comm; awk '{rights}' /proc/self/status >/tmp/own; \
             awk '{rights}' /proc/1/status >/tmp/first; cmp /tmp/own /tmp/first"
        );
        assert_eq!(
            ann.says(&["exec", &name, "sh", "-c", &script]),
            "0\nmine\nsh\n"
        );
        let other = ann.run(&["exec", "-u", "daemon", &name, "id", "-u"]);
        match ranges {
            Ranges::Given => assert_eq!(other.stdout_text(), "1\n", "{}", other.stderr),
            Ranges::None => {
                assert!(
                    other.code == Some(125) && other.stderr.contains("/etc/subuid"),
                    "{:?} {}",
                    other.code,
                    other.stderr
                )
            }
        }
        let terminal = ann.run(&["exec", "-t", &name, "tty"]);
        assert_eq!(
            terminal.stdout_text(),
            "/dev/pts/0\r\n",
            "{}",
            terminal.stderr
        );
        ann.says(&["rm", "-f", &name]);
        ann.world.assert_no_traces();
    }
}
