//! The kernel's own record of what tasks do, from its tracefs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::mem::take;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::gettid;

/// What a task did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It made a system call.
    Call { number: i64, arguments: [u64; 6] },
    /// It started another task.
    Started { task: u32 },
    /// It has this name from now on.
    Named { name: String },
}

/// The same with the task and the moment, in microseconds of some clock.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    pub at_us: u64,
    pub task: u32,
    pub event: Event,
}

/// Watches the calling thread and all that it starts, and what those start.
pub struct Trace {
    tracefs: PathBuf,
    instance: PathBuf,
    reader: Option<JoinHandle<Vec<Record>>>,
}

/// What the kernel keeps for each processor until it is read: some 50000 calls.
const BUFFER_KIB: &str = "4096";

/// The namespace of process numbers in which the kernel counts tasks: `PROC_PID_INIT_INO`,
/// `include/linux/proc_ns.h`.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

impl Trace {
    /// Begins, in an empty directory; `None` where the kernel has no such record, which is said.
    pub fn start(tracefs: &Path) -> Option<Self> {
        if fs::read_link("/proc/self/ns/pid").unwrap() != Path::new(FIRST_NAMESPACE) {
            eprintln!("SKIPPED: tasks have other numbers here than in the kernel's record");
            return None;
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if let Err(errno) = mount(None::<&str>, tracefs, Some("tracefs"), flags, None::<&str>) {
            eprintln!("SKIPPED: tracefs can't be mounted: {errno}");
            return None;
        }
        let instance = tracefs.join(format!("instances/jaula-{}", std::process::id()));
        fs::create_dir(&instance).unwrap();
        let mut trace = Self {
            tracefs: tracefs.to_owned(),
            instance,
            reader: None,
        };
        if !trace.instance.join("events/raw_syscalls").exists() {
            eprintln!("SKIPPED: the kernel keeps no record of system calls");
            return None;
        }
        trace.set("trace_clock", "mono");
        trace.set("buffer_size_kb", BUFFER_KIB);
        trace.set("options/event-fork", "1");
        // Before anybody is watched: each of its reads would be one more call to be read.
        let pipe = File::open(trace.instance.join("trace_pipe")).unwrap();
        trace.reader = Some(thread::spawn(|| read(pipe)));
        for event in [
            "raw_syscalls/sys_enter",
            "task/task_newtask",
            "task/task_rename",
        ] {
            trace.set(&format!("events/{event}/enable"), "1");
        }
        trace.set("set_event_pid", &gettid().to_string());
        Some(trace)
    }

    /// All that was done, in its order.
    pub fn finish(mut self) -> Vec<Record> {
        let mut records = self.stop().unwrap();
        // Each processor has a buffer of its own.
        records.sort_by_key(|record| record.at_us);
        records
    }

    fn stop(&mut self) -> thread::Result<Vec<Record>> {
        self.set("tracing_on", "0");
        take(&mut self.reader).map_or(Ok(Vec::new()), JoinHandle::join)
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.instance.join(name), value).unwrap();
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // One that has failed has said why.
        let _ = self.stop();
        fs::remove_dir(&self.instance).unwrap();
        umount2(&self.tracefs, MntFlags::MNT_DETACH).unwrap();
    }
}

/// It ends when it is said that there comes nothing more.
fn read(pipe: File) -> Vec<Record> {
    let mut records = Vec::new();
    for line in BufReader::new(pipe).split(b'\n') {
        let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
        assert!(!line.contains(" [LOST "), "the kernel had no room: {line}");
        records.extend(parse(&line));
    }
    records
}

/// `vcpu1-4242  [000] .....  402.831505: sys_enter: NR 16 (b, ae80, 0, 0, 0, 0)`
fn parse(line: &str) -> Option<Record> {
    let (head, event) = line.split_once(": ")?;
    let (task, rest) = head.rsplit_once(" [")?;
    let (_, task) = task.trim_end().rsplit_once('-')?;
    let (seconds, below) = rest.rsplit_once(' ')?.1.split_once('.')?;
    let (kind, told) = event.split_once(": ")?;
    Some(Record {
        at_us: seconds.parse::<u64>().ok()? * 1_000_000 + below.parse::<u64>().ok()?,
        task: task.parse().ok()?,
        event: match kind {
            "sys_enter" => {
                let (number, arguments) = told.strip_prefix("NR ")?.split_once(" (")?;
                let arguments = arguments.strip_suffix(')')?.split(", ");
                let arguments: Result<Vec<_>, _> =
                    arguments.map(|it| u64::from_str_radix(it, 16)).collect();
                Event::Call {
                    number: number.parse().ok()?,
                    arguments: arguments.ok()?.try_into().ok()?,
                }
            }
            "task_newtask" => Event::Started {
                task: told.strip_prefix("pid=")?.split(' ').next()?.parse().ok()?,
            },
            "task_rename" => {
                let (_, name) = told.split_once(" newcomm=")?;
                let (name, _) = name.rsplit_once(" oom_score_adj=")?;
                Event::Named { name: name.into() }
            }
            _ => return None,
        },
    })
}

#[test]
fn a_line_of_the_kernels_says_who_did_what() {
    let line = |event| {
        parse(&format!(
            "     jaula [0]-42    [001] d..1.  7.000021: {event}"
        ))
    };
    let record = |event| {
        Some(Record {
            at_us: 7_000_021,
            task: 42,
            event,
        })
    };
    assert_eq!(
        line("sys_enter: NR 16 (b, ae80, 0, 0, 1, ffffffffffffffff)"),
        record(Event::Call {
            number: 16,
            arguments: [0xb, 0xae80, 0, 0, 1, u64::MAX]
        })
    );
    assert_eq!(
        line("task_newtask: pid=43 comm=jaula clone_flags=3d0f00 oom_score_adj=0"),
        record(Event::Started { task: 43 })
    );
    assert_eq!(
        line("task_rename: pid=42 oldcomm=jaula newcomm=a name oom_score_adj=0"),
        record(Event::Named {
            name: "a name".into()
        })
    );
    assert_eq!(line("sched_switch: prev_comm=jaula"), None);
    assert_eq!(parse(""), None);
}
