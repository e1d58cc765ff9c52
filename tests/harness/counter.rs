//! A VM whose command answers each line with a number that grows: whoever talks to it knows how
//! far it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{World, wait};

/// Ends with its number when it reads `end`.
pub const COUNTER: &str =
    r#"i=0; while read x; do [ "$x" = end ] && exit $i; i=$((i+1)); echo $x $i; done"#;

/// One that runs.
pub struct Counter {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Counter {
    /// A new one, which goes on from a template, as the instance `name`.
    pub fn start(world: &World, name: &str) -> Self {
        let run = ["run", "-i", "--as", "vm", "--start", "warm", "--name", name];
        let command = ["busybox", "sh", "-c", COUNTER];
        Self::from(world.jaula([&run[..], &command].concat()))
    }

    /// One that goes on from a snapshot.
    pub fn restore(world: &World, snapshot: &str) -> Self {
        Self::from(world.jaula(["snapshot", "restore", "-i", snapshot]))
    }

    /// What it answers.
    pub fn say(&mut self, word: &str) -> String {
        writeln!(self.stdin, "{word}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// How it ends by itself, and what it said on standard error.
    pub fn end(self) -> (Option<i32>, String) {
        let Self {
            mut child,
            mut stdin,
            stdout: _open,
        } = self;
        // One that has ended already reads nothing.
        let _ = writeln!(stdin, "end");
        drop(stdin);
        let code = wait(&mut child).code();
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl From<Command> for Counter {
    fn from(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }
}
