//! What a workload sees and how it ends is the same each way.
//!
//! One list of workloads with what is promised of them; each promise is a test as container and
//! one as VM that goes on from a template, which is built if need be. Those that a boot has to do with
//! are tested on a VM that boots, too, some of them on one: its processors, memory, mounts, names, users
//! and rights. What comes after the boot is the same.

#![allow(clippy::unwrap_used)]

mod harness;
#[path = "parity/together.rs"]
mod together;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use bench::Way;
use harness::{Place, Seen, World, can_run, run, see, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use together::together;

/// A workload, and what is seen of it.
#[derive(Default)]
struct Promise {
    /// `DIR` stands for a directory of the test's own.
    flags: &'static [&'static str],
    /// The image, if it is not busybox: none where a flag says what runs.
    image: Option<&'static [&'static str]>,
    /// What is to be in `DIR`.
    made: Option<fn(&Path)>,
    command: &'static [&'static str],
    stdin: Vec<u8>,
    code: i32,
    stdout: Vec<u8>,
    stderr: &'static str,
}

impl Promise {
    fn holds(self, way: Way) {
        if !can_run(way.side()) {
            return;
        }
        let _place = Place::take(way.side());
        let world = World::new();
        if let Some(make) = self.made {
            make(world.dir());
        }
        if way == Way::VmWarm {
            build_template(&world, self.flags);
        }
        let image = self.image.unwrap_or(&["busybox"]);
        let args = [run(way), self.flags, image, self.command].concat();
        let dir = world.dir().to_str().unwrap();
        let args: Vec<_> = args.iter().map(|arg| arg.replace("DIR", dir)).collect();
        let args = args.iter().map(String::as_str);
        let seen = see(world.jaula(args), &self.stdin);
        let promised = Seen {
            code: Some(self.code),
            stdout: self.stdout,
            stderr: self.stderr.into(),
        };
        // Compared first, as a mebibyte of bytes tells nobody anything.
        assert_eq!(
            (seen.code, &seen.stderr),
            (promised.code, &promised.stderr),
            "stdout: {:.1000}",
            seen.stdout_text()
        );
        if seen.stdout.len() < 1000 {
            assert_eq!(
                seen.stdout_text(),
                String::from_utf8_lossy(&promised.stdout)
            );
        }
        assert!(
            seen.stdout == promised.stdout,
            "stdout differs: {} bytes, {} promised",
            seen.stdout.len(),
            promised.stdout.len()
        );
    }
}

/// What is said while a template is built is not the workload's.
fn build_template(world: &World, flags: &[&'static str]) {
    let of_size = |pair: &&[&str]| ["-m", "--cpus"].contains(&pair[0]);
    let size = flags.windows(2).filter(of_size).flatten();
    let args = ["template", "build"].iter().chain(size).copied();
    let built = world.run(args);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
}

macro_rules! the_same_each_way {
    ($($promise:ident)*) => {$(
        mod $promise {
            use super::*;

            #[test]
            fn as_container() {
                super::$promise().holds(Way::Container);
            }

            #[test]
            fn as_vm() {
                super::$promise().holds(Way::VmWarm);
            }
        }
    )*};
}

macro_rules! also_on_a_vm_that_boots {
    ($($promise:ident)*) => {
        mod on_a_vm_that_boots {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    super::$promise().holds(Way::VmCold);
                }
            )*
        }
    };
}

the_same_each_way! {
    success_is_silent
    env_cwd_user_and_hostname_reach_the_command
    stdout_and_stderr_are_kept_apart
    a_read_only_root_takes_no_writes
    a_mebibyte_passes_from_stdin_to_stdout
    fifty_processes_one_after_the_other_all_run
    mounts_in_memory_are_what_was_asked_for
    names_and_groups_reach_the_command
    rights_and_limits_of_processes_are_what_was_asked_for
    with_an_init_the_command_is_not_the_first_process
    a_missing_command_is_127
    a_directory_as_command_is_126
    a_killed_child_is_seen_by_its_parent
    memory_above_the_limit_is_137
    a_child_that_is_killed_for_lack_of_memory_is_told_of
    a_tmpfs_is_as_it_was_asked_for
    an_anonymous_volume_takes_writes_in_a_read_only_root
    names_are_looked_up_as_was_asked_for
    ulimits_are_those_that_were_asked_for
    with_an_init_the_command_is_its_child
    an_init_reaps_orphans_and_ends_as_the_command_does
    with_an_init_a_missing_command_is_127
    with_an_init_a_killed_command_is_137
    variables_of_files_and_a_program_instead_of_the_images
    a_directory_is_as_good_as_an_image
    no_more_processes_than_were_asked_for
    cpus_are_those_that_were_asked_for
    several_cpus_are_those_that_were_asked_for
    usual_rights_are_the_same
    what_is_hidden_is_the_same
}

also_on_a_vm_that_boots! {
    env_cwd_user_and_hostname_reach_the_command
    a_missing_command_is_127
    names_and_groups_reach_the_command
    rights_and_limits_of_processes_are_what_was_asked_for
    a_directory_is_as_good_as_an_image
    stdout_and_stderr_are_kept_apart
    a_read_only_root_takes_writes_where_it_was_asked_to
    several_cpus_are_those_that_were_asked_for
    memory_above_the_limit_is_137
    what_comes_with_a_boot_is_as_it_was_asked_for
}

fn a_read_only_root_takes_writes_where_it_was_asked_to() -> Promise {
    together(vec![
        a_read_only_root_takes_no_writes(),
        mounts_in_memory_are_what_was_asked_for(),
        an_anonymous_volume_takes_writes_in_a_read_only_root(),
    ])
}

fn what_comes_with_a_boot_is_as_it_was_asked_for() -> Promise {
    together(vec![
        success_is_silent(),
        cpus_are_those_that_were_asked_for(),
        usual_rights_are_the_same(),
        what_is_hidden_is_the_same(),
        ulimits_are_those_that_were_asked_for(),
        names_are_looked_up_as_was_asked_for(),
        a_tmpfs_is_as_it_was_asked_for(),
        fifty_processes_one_after_the_other_all_run(),
    ])
}

fn success_is_silent() -> Promise {
    Promise {
        command: &["true"],
        ..Promise::default()
    }
}

fn env_cwd_user_and_hostname_reach_the_command() -> Promise {
    Promise {
        flags: &[
            "-e",
            "GREETING=hello",
            "-w",
            "/made/for/this",
            "-u",
            "1000:1001",
            "-h",
            "web",
        ],
        command: &[
            "sh",
            "-c",
            "echo $GREETING $HOME $HOSTNAME; echo $PATH; pwd; id -u; id -g; hostname; \
             echo \"$# $1\"; echo $$; exit 42",
            "sh",
            "a b",
            "",
        ],
        code: 42,
        stdout: b"hello / web\n\
            /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
            /made/for/this\n1000\n1001\nweb\n2 a b\n1\n"
            .into(),
        ..Promise::default()
    }
}

fn stdout_and_stderr_are_kept_apart() -> Promise {
    Promise {
        command: &["sh", "-c", "echo out; echo err >&2; echo out; exit 255"],
        code: 255,
        stdout: b"out\nout\n".into(),
        stderr: "err\n",
        ..Promise::default()
    }
}

fn a_read_only_root_takes_no_writes() -> Promise {
    Promise {
        flags: &["--read-only"],
        command: &["sh", "-c", "echo x > /file"],
        code: 1,
        stderr: "sh: can't create /file: Read-only file system\n",
        ..Promise::default()
    }
}

fn mounts_in_memory_are_what_was_asked_for() -> Promise {
    Promise {
        flags: &[
            "--read-only",
            "-v",
            "/etc",
            "--tmpfs",
            "/t:size=1m,mode=700",
            "--mount",
            "type=tmpfs,dst=/r,readonly",
        ],
        command: &[
            "sh",
            "-c",
            "touch /etc/new /t/new && echo written; stat -c %a /t /r; \
             df -k /t | tail -n 1 | awk '{print $2}'; touch /r/new",
        ],
        code: 1,
        stdout: b"written\n700\n1777\n1024\n".into(),
        stderr: "touch: /r/new: Read-only file system\n",
        ..Promise::default()
    }
}

fn names_and_groups_reach_the_command() -> Promise {
    Promise {
        flags: &[
            "--add-host",
            "db:10.0.0.7",
            "--dns",
            "10.0.0.8",
            "--group-add",
            "4321",
        ],
        command: &[
            "sh",
            "-c",
            "grep db /etc/hosts; cat /etc/resolv.conf; id -G",
        ],
        stdout: b"10.0.0.7\tdb\nnameserver 10.0.0.8\n0 4321\n".into(),
        ..Promise::default()
    }
}

fn rights_and_limits_of_processes_are_what_was_asked_for() -> Promise {
    Promise {
        flags: &[
            "--ulimit",
            "nofile=99:100",
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CHOWN",
            "--security-opt",
            "no-new-privileges=false",
        ],
        command: &[
            "sh",
            "-c",
            "ulimit -n; ulimit -Hn; grep -E 'CapBnd|NoNewPrivs' /proc/self/status",
        ],
        stdout: b"99\n100\nCapBnd:\t0000000000000001\nNoNewPrivs:\t0\n".into(),
        ..Promise::default()
    }
}

fn with_an_init_the_command_is_not_the_first_process() -> Promise {
    Promise {
        flags: &["--init"],
        command: &["sh", "-c", "test $$ != 1 && exit 7"],
        code: 7,
        ..Promise::default()
    }
}

fn a_mebibyte_passes_from_stdin_to_stdout() -> Promise {
    let bytes = varied_bytes(1 << 20);
    Promise {
        flags: &["-i"],
        command: &["cat"],
        stdin: bytes.clone(),
        stdout: bytes,
        ..Promise::default()
    }
}

/// Bytes of every value in no order that repeats soon (Knuth's MMIX generator).
fn varied_bytes(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn fifty_processes_one_after_the_other_all_run() -> Promise {
    Promise {
        command: &[
            "sh",
            "-c",
            "n=0; while [ $n -lt 50 ]; do /bin/busybox true || exit 9; n=$((n + 1)); done; echo $n",
        ],
        stdout: b"50\n".into(),
        ..Promise::default()
    }
}

fn a_missing_command_is_127() -> Promise {
    Promise {
        command: &["no-such-command"],
        code: 127,
        stderr: "jaula: there is no command \"no-such-command\" in the image, \
                 or not what it is to be run with\n",
        ..Promise::default()
    }
}

fn a_directory_as_command_is_126() -> Promise {
    Promise {
        command: &["/etc"],
        code: 126,
        stderr: "jaula: the command \"/etc\" can't be executed: Permission denied (os error 13)\n",
        ..Promise::default()
    }
}

/// The command itself is PID 1, which nothing inside can kill: so a child is killed.
fn a_killed_child_is_seen_by_its_parent() -> Promise {
    Promise {
        command: &[
            "sh",
            "-c",
            "sh -c 'kill -9 $$'; code=$?; kill -9 1; exit $code",
        ],
        code: 137,
        stderr: "Killed\n",
        ..Promise::default()
    }
}

fn memory_above_the_limit_is_137() -> Promise {
    Promise {
        // Small, as a page that a guest touches first takes a millisecond where its kernel mode
        // is emulated.
        flags: &["-m", "32m"],
        command: &["tail", "/dev/zero"],
        code: 137,
        stderr: "jaula: the command was killed for lack of memory: its limit is 32 MiB\n",
        ..Promise::default()
    }
}

fn a_child_that_is_killed_for_lack_of_memory_is_told_of() -> Promise {
    Promise {
        flags: &["-m", "32m"],
        command: &["sh", "-c", "tail /dev/zero; exit 3"],
        code: 3,
        stderr: "Killed\njaula: a process of the command was killed for lack of memory: its limit is 32 MiB\n",
        ..Promise::default()
    }
}

fn a_tmpfs_is_as_it_was_asked_for() -> Promise {
    Promise {
        flags: &["--tmpfs", "/made/t:size=64k,mode=750,exec", "--tmpfs", "/u"],
        command: &[
            "sh",
            "-c",
            "cd /made/t; stat -c %a . /u; head -c 100000 /dev/zero > full 2> /dev/null; wc -c < full; rm full; \
             echo 'echo ran' > x; chmod +x x; ./x; cp x /u; /u/x",
        ],
        code: 126,
        stdout: b"750\n1777\n65536\nran\n".into(),
        stderr: "sh: /u/x: Permission denied\n",
        ..Promise::default()
    }
}

fn an_anonymous_volume_takes_writes_in_a_read_only_root() -> Promise {
    Promise {
        flags: &["--read-only", "-v", "/etc", "-v", "/new/volume"],
        command: &[
            "sh",
            "-c",
            "echo x > /new/volume/file; ls /new/volume; cat /etc/hostname; echo y > /etc/hostname; \
             cat /etc/hostname; echo z > /new/file",
        ],
        code: 1,
        stdout: b"file\njaula\ny\n".into(),
        stderr: "sh: can't create /new/file: Read-only file system\n",
        ..Promise::default()
    }
}

fn names_are_looked_up_as_was_asked_for() -> Promise {
    Promise {
        flags: &[
            "--dns",
            "192.0.2.1",
            "--dns",
            "2001:db8::1",
            "--add-host",
            "db:192.0.2.7",
            "-h",
            "web",
        ],
        command: &[
            "sh",
            "-c",
            "cat /etc/resolv.conf /etc/hostname; grep -E 'db|web' /etc/hosts",
        ],
        stdout: b"nameserver 192.0.2.1\nnameserver 2001:db8::1\nweb\n\
            127.0.1.1\tweb\n192.0.2.7\tdb\n"
            .into(),
        ..Promise::default()
    }
}

fn ulimits_are_those_that_were_asked_for() -> Promise {
    Promise {
        flags: &["--ulimit", "nofile=64:128", "--ulimit", "core=0"],
        command: &["sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c"],
        stdout: b"64\n128\n0\n".into(),
        ..Promise::default()
    }
}

/// What `ps` shows is the same, too.
fn with_an_init_the_command_is_its_child() -> Promise {
    Promise {
        flags: &["--init"],
        command: &["ps", "-o", "pid,ppid,user,comm,args"],
        stdout: b"PID   PPID  USER     COMMAND          COMMAND\n    \
            1     0 root     jaula-init       jaula-init -- ps -o pid,ppid,user,comm,args\n    \
            2     1 root     ps               ps -o pid,ppid,user,comm,args\n"
            .into(),
        ..Promise::default()
    }
}

fn an_init_reaps_orphans_and_ends_as_the_command_does() -> Promise {
    Promise {
        flags: &["--init"],
        command: &[
            "sh",
            "-c",
            // The shell in between is gone before its child is.
            "sh -c 'sleep 0.1 & sleep 0.1 & exit 0'; sleep 0.5; \
             cat /proc/[0-9]*/status | grep -c '^State:.Z'; exit 7",
        ],
        code: 7,
        stdout: b"0\n".into(),
        ..Promise::default()
    }
}

fn with_an_init_a_missing_command_is_127() -> Promise {
    Promise {
        flags: &["--init"],
        command: &["no-such-command"],
        code: 127,
        stderr: "jaula-init: can't execute \"no-such-command\": \
                 No such file or directory (os error 2)\n",
        ..Promise::default()
    }
}

/// A command that is not process 1 can kill itself.
fn with_an_init_a_killed_command_is_137() -> Promise {
    Promise {
        flags: &["--init"],
        command: &["sh", "-c", "kill -9 $$"],
        code: 137,
        ..Promise::default()
    }
}

fn variables_of_files_and_a_program_instead_of_the_images() -> Promise {
    Promise {
        flags: &[
            "--env-file",
            "DIR/env",
            "-e",
            "D=5",
            "--entrypoint",
            "sh",
            "--pull",
            "never",
            "--network",
            "none",
            "--name",
            "parity",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "no-new-privileges",
            "-l",
            "of=parity",
            "--stop-signal",
            "INT",
            "--stop-timeout",
            "3",
            "--rm",
        ],
        made: Some(|dir| {
            std::fs::write(dir.join("env"), "A=1\n# B=2\nC=\"3 \"\nD=4\n").unwrap();
        }),
        command: &[
            "-c",
            "echo \"$0,$A,$B,$C,$D\"; grep NoNewPrivs /proc/self/status; \
             grep -c : /proc/net/dev; cat /etc/hostname",
            "zero",
        ],
        stdout: b"zero,1,,\"3 \",5\nNoNewPrivs:\t1\n1\njaula\n".into(),
        ..Promise::default()
    }
}

/// Links that lead nowhere are mount points all the same.
fn a_directory_is_as_good_as_an_image() -> Promise {
    Promise {
        flags: &[
            "--rootfs",
            "DIR/root",
            "--tmpfs",
            "/var/cache:mode=711",
            "-v",
            "/var/lib",
            "-w",
            "/var/work",
        ],
        image: Some(&[]),
        made: Some(|dir| {
            let root = dir.join("root");
            harness::oci::busybox(&root);
            harness::oci::write(
                &root,
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nann:x:7:8::/:\n",
            );
            std::os::unix::fs::symlink("/run/var", root.join("var")).unwrap();
        }),
        command: &[
            "sh",
            "-c",
            "pwd; cd /run/var; stat -c '%n %a' cache lib work; cat /etc/passwd",
        ],
        stdout: b"/run/var/work\ncache 711\nlib 755\nwork 755\n\
            root:x:0:0::/root:/bin/sh\nann:x:7:8::/:\n"
            .into(),
        ..Promise::default()
    }
}

fn no_more_processes_than_were_asked_for() -> Promise {
    Promise {
        flags: &["--pids-limit", "4"],
        command: &[
            "sh",
            "-c",
            "for n in 1 2 3 4; do echo $n; sleep 9 & done; echo all",
        ],
        code: 2,
        stdout: b"1\n2\n3\n4\n".into(),
        stderr: "sh: can't fork: Resource temporarily unavailable\n",
        ..Promise::default()
    }
}

/// A VM has one processor, whatever it is made of.
fn cpus_are_those_that_were_asked_for() -> Promise {
    Promise {
        flags: &["--cpus", "0.9", "--cpuset-cpus", "0"],
        command: &["nproc"],
        stdout: b"1\n".into(),
        ..Promise::default()
    }
}

/// As many as there is processor time for.
fn several_cpus_are_those_that_were_asked_for() -> Promise {
    Promise {
        flags: &["--cpus", "1.5", "--cpuset-cpus", "0,1"],
        command: &[
            "sh",
            "-c",
            "nproc; for n in 1 2 3 4; do (seq 2000 | md5sum) & done | uniq -c | tr -s ' '; wait",
        ],
        stdout: b"2\n 4 ea4d0a24dabcaa11f9aa979b872d162b -\n".into(),
        ..Promise::default()
    }
}

/// What root has if nothing is asked for, and what somebody else has.
fn usual_rights_are_the_same() -> Promise {
    Promise {
        command: &[
            "sh",
            "-c",
            "grep -E '^(Cap|Groups|NoNewPrivs)' /proc/self/status; umask; \
             mknod /tmp/null c 1 3 && cat /tmp/null; \
             stat -c %t:%T /dev/null",
        ],
        stdout: b"Groups:\t0 \nCapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n\
            CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n\
            NoNewPrivs:\t1\n0022\n1:3\n"
            .into(),
        stderr: "cat: can't open '/tmp/null': Permission denied\n",
        ..Promise::default()
    }
}

/// What `/proc` and `/sys` are closed to.
fn what_is_hidden_is_the_same() -> Promise {
    Promise {
        command: &[
            "sh",
            "-c",
            "for f in /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /sys/power/state; do \
                 (: >> $f) 2>/dev/null && echo $f; done; \
             for f in /proc/kcore /proc/keys /proc/timer_list; do \
                 test ! -e $f || head -c 9 $f; done; \
             for d in /proc/acpi /proc/scsi /sys/firmware; do test ! -e $d || ls -A $d; done; \
             mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; \
             grep -c cgroup /proc/mounts; true",
        ],
        stdout: b"0\n".into(),
        ..Promise::default()
    }
}

/// A running jaula that is told things.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(world: &World, way: Way, script: &str) -> Self {
        Self::start_with(
            world,
            &[run(way), &["busybox", "sh", "-c", script]].concat(),
        )
    }

    fn start_with(world: &World, args: &[&str]) -> Self {
        let mut child = world
            .jaula(args.iter().copied())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }
}

fn a_workload_may_ignore_sigterm_and_end_when_it_likes(way: Way) {
    if !can_run(way.side()) {
        return;
    }
    let _place = Place::take(way.side());
    let world = World::new();
    let mut running = Running::start(
        &world,
        way,
        "trap 'echo no' TERM; trap 'exit 9' USR1; echo ready; while :; do sleep 1; done",
    );
    assert_eq!(running.line(), "ready\n");
    running.send(Signal::SIGTERM);
    assert_eq!(running.line(), "no\n");
    assert_eq!(running.child.try_wait().unwrap(), None);
    running.send(Signal::SIGUSR1);
    assert_eq!(wait(&mut running.child).code(), Some(9));
}

#[test]
fn a_container_may_ignore_sigterm_and_end_when_it_likes() {
    a_workload_may_ignore_sigterm_and_end_when_it_likes(Way::Container);
}

#[test]
fn a_vm_may_ignore_sigterm_and_end_when_it_likes() {
    a_workload_may_ignore_sigterm_and_end_when_it_likes(Way::VmWarm);
}

/// Without an init SIGTERM is nothing to a command that has no handler for it, being process 1.
fn an_init_passes_signals_on(way: Way) {
    if !can_run(way.side()) {
        return;
    }
    let _place = Place::take(way.side());
    let world = World::new();
    let args = [
        run(way),
        &[
            "--init",
            "busybox",
            "sh",
            "-c",
            "echo ready; exec sleep 1000",
        ],
    ];
    let mut running = Running::start_with(&world, &args.concat());
    assert_eq!(running.line(), "ready\n");
    running.send(Signal::SIGTERM);
    assert_eq!(wait(&mut running.child).code(), Some(143));
}

#[test]
fn an_init_passes_signals_on_in_a_container() {
    an_init_passes_signals_on(Way::Container);
}

#[test]
fn an_init_passes_signals_on_in_a_vm() {
    an_init_passes_signals_on(Way::VmWarm);
}

/// A user who types Ctrl-C three times means it, whatever the command does with it.
fn the_third_interrupt_kills(way: Way) {
    if !can_run(way.side()) {
        return;
    }
    let _place = Place::take(way.side());
    let world = World::new();
    let mut running = Running::start(&world, way, "trap '' INT; echo ready; exec sleep 1000");
    assert_eq!(running.line(), "ready\n");
    for _ in 0..3 {
        assert_eq!(running.child.try_wait().unwrap(), None);
        running.send(Signal::SIGINT);
        // Two that come at once are one.
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(wait(&mut running.child).code(), Some(137));
}

#[test]
fn the_third_interrupt_kills_a_container() {
    the_third_interrupt_kills(Way::Container);
}

#[test]
fn the_third_interrupt_kills_a_vm() {
    the_third_interrupt_kills(Way::VmWarm);
}
