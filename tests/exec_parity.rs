//! Further commands in an instance are the same on both sides: each promise is a test in a
//! container and one in a VM that goes on from a template.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::terminal::Terminal;
use harness::{JAULA, Place, Seen, World, can_run, see, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest that something takes which needs no time.
const SOON: Duration = Duration::from_secs(120);

/// An instance that goes on until it is asked to end.
struct Instance {
    world: World,
    name: String,
    _place: Option<Place>,
}

impl Instance {
    /// `None` where this side can't run.
    fn start(side: Side, flags: &[&str], before: &str) -> Option<Self> {
        if !can_run(side) {
            return None;
        }
        let place = Place::take(side);
        let world = World::new();
        let name = format!("{}0", world.name_prefix());
        let side: &[&str] = match side {
            Side::Container => &[],
            Side::Vm => &["--as", "vm", "--start", "warm"],
        };
        let script = format!("trap 'exit 0' TERM; {before} echo up; while :; do sleep 0.1; done");
        let command = ["--name", &name, "busybox", "sh", "-c", &script];
        let seen = world.run([&["run", "-d"], side, flags, &command].concat());
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
        let instance = Self {
            world,
            name,
            _place: place,
        };
        instance.eventually(|it| it.world.run(["logs", &it.name]).stdout_text() == "up\n");
        Some(instance)
    }

    fn exec(&self, flags: &[&str], command: &[&str], input: &[u8]) -> Seen {
        let args = [&["exec"], flags, &[&self.name], command].concat();
        see(self.world.jaula(args), input)
    }

    /// What a script says that has to work.
    fn says(&self, flags: &[&str], script: &str) -> String {
        let seen = self.exec(flags, &["sh", "-c", script], b"");
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{script}");
        seen.stdout_text()
    }

    /// Starts one that says a line, which is waited for.
    fn begin(&self, flags: &[&str], script: &str) -> Child {
        let args = [&["exec"], flags, &[&self.name, "sh", "-c", script]].concat();
        let mut child = self.world.jaula(args).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "up\n");
        child
    }

    /// How many processes are called so inside.
    fn processes(&self, called: &str) -> usize {
        let listed = self.says(&[], "ps -o args");
        listed.lines().filter(|line| *line == called).count()
    }

    fn eventually(&self, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < SOON, "it never comes");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing of it is left.
    fn end(self) {
        let seen = self.world.run(["stop", &self.name]);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
        assert_eq!(self.world.run(["rm", &self.name]).code, Some(0));
        self.world.assert_no_traces();
    }
}

macro_rules! on_each_side {
    ($($promise:ident)*) => {$(
        mod $promise {
            use super::*;

            #[test]
            fn in_a_container() {
                super::$promise(Side::Container);
            }

            #[test]
            fn in_a_vm() {
                super::$promise(Side::Vm);
            }
        }
    )*};
}

on_each_side! {
    it_runs_beside_the_first_command_with_its_root_rights_and_limits
    its_streams_are_the_callers_and_its_code_is_jaulas
    what_cant_be_executed_has_the_codes_of_a_shell
    user_directory_and_environment_are_what_is_typed
    it_has_a_terminal_of_the_callers_size
    it_ends_with_its_caller_and_with_its_instance_and_goes_on_if_it_is_left
    what_is_left_at_a_terminal_goes_on_and_says_what_it_likes
    it_is_told_when_memory_ran_out
    many_run_at_once
}

fn it_runs_beside_the_first_command_with_its_root_rights_and_limits(side: Side) {
    let flags = [
        "--cap-drop",
        "all",
        "--ulimit",
        "nofile=77",
        "-h",
        "web",
        "-e",
        "A=1",
    ];
    let Some(instance) = Instance::start(side, &flags, "echo first >/tmp/f;") else {
        return;
    };
    let script = "cat /tmp/f; hostname; ulimit -n; echo $A; pwd; grep -h -e Cap -e NoNew /proc/self/status; \
                  cat /proc/self/cgroup | sed 's/.*://' | sort -u; \
                  for n in cgroup ipc mnt net pid uts; do \
                  test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) && echo same $n; done";
    let none = "0000000000000000";
    assert_eq!(
        instance.says(&[], script),
        format!(
            "first\nweb\n77\n1\n/\nCapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\n\
             CapAmb:\t{none}\nNoNewPrivs:\t1\n/\nsame cgroup\nsame ipc\nsame mnt\nsame net\nsame pid\nsame uts\n"
        )
    );
    // No descriptor of anybody else's.
    assert_eq!(instance.says(&[], "ls /proc/self/fd | wc -l"), "4\n");
    instance.end();
}

fn its_streams_are_the_callers_and_its_code_is_jaulas(side: Side) {
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    let input: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let script = "cat; echo oops >&2; exit 3";
    let seen = instance.exec(&["-i"], &["sh", "-c", script], &input);
    assert!(seen.stdout == input);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(3), "oops\n"));
    // Without -i there is nothing to read.
    assert_eq!(instance.says(&[], "cat"), "");
    let killed = instance.exec(&[], &["sh", "-c", "kill -9 $$"], b"");
    assert_eq!(killed.code, Some(137));
    if side == Side::Vm {
        // The copying ends when its command does, whoever else has its output.
        assert_eq!(instance.says(&[], "sleep 1000 & echo out"), "out\n");
    }
    let mut child = instance.begin(
        &[],
        "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done",
    );
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(7));
    instance.end();
}

fn what_cant_be_executed_has_the_codes_of_a_shell(side: Side) {
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    for (command, code) in [
        ("/none", 127),
        ("none", 127),
        ("/etc/passwd", 126),
        ("/tmp", 126),
    ] {
        for flags in [&[][..], &["-d"]] {
            let seen = instance.exec(flags, &[command], b"");
            assert_eq!(seen.code, Some(code), "{command}: {}", seen.stderr);
            assert!(seen.stderr.contains(command), "{}", seen.stderr);
        }
    }
    let seen = instance.exec(&["-w", "/none"], &["true"], b"");
    assert_ne!(seen.code, Some(0));
    assert!(seen.stderr.contains("working directory"), "{}", seen.stderr);
    instance.end();
}

fn user_directory_and_environment_are_what_is_typed(side: Side) {
    let before = "echo 'ann:x:77:88::/home/ann:' >>/etc/passwd; echo 'team:x:99:ann' >>/etc/group;";
    let Some(instance) = Instance::start(side, &["-w", "/var"], before) else {
        return;
    };
    let script = "id -u; id -g; id -G; pwd; echo $HOME $B";
    assert_eq!(instance.says(&[], script).lines().nth(3), Some("/var"));
    // Who is no user of the image's, but of what has become of it.
    let flags = ["-u", "ann", "-w", "/tmp", "-e", "B=2"];
    assert_eq!(
        instance.says(&flags, script),
        "77\n88\n88 99\n/tmp\n/home/ann 2\n"
    );
    assert_eq!(instance.says(&["-u", "5:6"], "id -u; id -g"), "5\n6\n");
    let seen = instance.exec(&["-u", "nosuch"], &["true"], b"");
    assert_ne!(seen.code, Some(0));
    assert!(seen.stderr.contains("nosuch"), "{}", seen.stderr);
    instance.end();
}

fn it_has_a_terminal_of_the_callers_size(side: Side) {
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    let terminal = Terminal::new(30, 100);
    let script = "stty size; trap 'stty size' WINCH; echo up; until read line && test -n \"$line\"; \
                  do :; done; echo \"got $line\"; exit 6";
    let args = ["exec", "-it", &instance.name, "sh", "-c", script];
    let mut child = terminal.start(&instance.world, JAULA, args);
    terminal.expect("30 100\r\nup\r\n");
    terminal.expect_raw(true);
    terminal.resize(40, 120);
    terminal.expect("40 120\r\n");
    terminal.type_in("one\r");
    assert_eq!(wait(&mut child).code(), Some(6));
    terminal.expect("got one\r\n");
    assert!(!terminal.is_raw());
    instance.end();
}

fn it_ends_with_its_caller_and_with_its_instance_and_goes_on_if_it_is_left(side: Side) {
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    let mut child = instance.begin(&[], "echo up; exec sleep 1001");
    assert_eq!(instance.processes("sleep 1001"), 1);
    child.kill().unwrap();
    wait(&mut child);
    instance.eventually(|it| it.processes("sleep 1001") == 0);
    let left = instance.exec(&["-d"], &["sleep", "1002"], b"");
    assert_eq!((left.code, left.stdout_text().as_str()), (Some(0), ""));
    assert_eq!(instance.processes("sleep 1002"), 1);
    let mut child = instance.begin(&[], "echo up; exec sleep 1003");
    let stopped = instance.world.run(["stop", &instance.name]);
    assert_eq!(stopped.code, Some(0));
    assert_eq!(wait(&mut child).code(), Some(137));
    let seen = instance.exec(&[], &["true"], b"");
    assert_eq!(seen.code, Some(1));
    assert!(seen.stderr.contains("is not running"), "{}", seen.stderr);
    instance.end();
}

fn what_is_left_at_a_terminal_goes_on_and_says_what_it_likes(side: Side) {
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    // More than a terminal holds that nobody reads.
    let script =
        "tty >/tmp/tty; head -c 100000 /dev/zero; echo said >>/tmp/tty; read line; sleep 1004";
    let left = instance.exec(&["-d", "-t"], &["sh", "-c", script], b"");
    assert_eq!(
        (left.code, left.stdout_text().as_str(), left.stderr.as_str()),
        (Some(0), "", "")
    );
    instance.eventually(|it| {
        let told = it.says(&[], "cat /tmp/tty 2>/dev/null || :");
        told.starts_with("/dev/pts/") && told.ends_with("\nsaid\n")
    });
    // It waits for what nobody types.
    instance.eventually(|it| it.says(&[], "ps -o args").contains("read line"));
    let seen = instance.exec(&["-d", "-t"], &["/none"], b"");
    assert_eq!(seen.code, Some(127), "{}", seen.stderr);
    assert!(seen.stderr.contains("/none"), "{}", seen.stderr);
    // Its keeper ends with it.
    instance.end();
}

fn it_is_told_when_memory_ran_out(side: Side) {
    if side == Side::Vm && can_run(side) {
        // What is said while one is built is not the instance's.
        let built = World::new().run(["template", "build", "-m", "32m"]);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
    }
    let Some(instance) = Instance::start(side, &["-m", "32m"], "") else {
        return;
    };
    let killed = instance.exec(&[], &["tail", "/dev/zero"], b"");
    assert_eq!(killed.code, Some(137));
    assert_eq!(
        killed.stderr,
        "jaula: the command was killed for lack of memory: its limit is 32 MiB\n"
    );
    // It says nothing of the next one.
    let other = instance.exec(&[], &["sh", "-c", "kill -9 $$"], b"");
    assert_eq!((other.code, other.stderr.as_str()), (Some(137), ""));
    instance.end();
}

fn many_run_at_once(side: Side) {
    const MANY: usize = 4;
    let Some(instance) = Instance::start(side, &[], "") else {
        return;
    };
    let children: Vec<_> = (0..MANY)
        .map(|number| {
            let script = format!("read line; echo $line {number}; exit {number}");
            let args = ["exec", "-i", &instance.name, "sh", "-c", &script];
            let mut command = instance.world.jaula(args);
            command.stdin(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    instance.eventually(|it| {
        let listed = it.says(&[], "ps -o args");
        let waits = |line: &&str| line.contains("read line");
        listed.lines().filter(waits).count() == MANY
    });
    for (number, mut child) in children.into_iter().enumerate() {
        child.stdin.take().unwrap().write_all(b"line\n").unwrap();
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.stdout, format!("line {number}\n").into_bytes());
        assert_eq!(said.status.code(), Some(number as i32));
    }
    instance.end();
}

/// Nobody is at the other end of its streams there.
#[test]
fn what_runs_in_a_vm_that_is_saved_is_not_in_a_copy_unless_it_was_left() {
    let Some(instance) = Instance::start(Side::Vm, &[], "") else {
        return;
    };
    let mut child = instance.begin(&[], "echo up; exec sleep 1001");
    let left = instance.exec(&["-d"], &["sleep", "1002"], b"");
    assert_eq!(left.code, Some(0));
    let saved = instance
        .world
        .run(["snapshot", "create", &instance.name, "halfway"]);
    assert_eq!((saved.code, saved.stderr.as_str()), (Some(0), ""));
    let name = format!("{}1", instance.world.name_prefix());
    let restore = ["snapshot", "restore", "--name", &name, "halfway"];
    let mut copy = instance.world.jaula(restore).spawn().unwrap();
    let listed = |name: &str| {
        let seen = instance.world.run(["exec", name, "ps", "-o", "args"]);
        seen.stdout_text()
    };
    instance.eventually(|_| {
        let listed = listed(&name);
        listed.contains("sleep 1002") && !listed.contains("sleep 1001")
    });
    // The original has both.
    let listed = listed(&instance.name);
    assert!(
        listed.contains("sleep 1001") && listed.contains("sleep 1002"),
        "{listed}"
    );
    let stopped = instance.world.run(["kill", "-s", "TERM", &name]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert_eq!(wait(&mut copy).code(), Some(0));
    child.kill().unwrap();
    wait(&mut child);
    instance.end();
}
