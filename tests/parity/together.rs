//! Several promises of one machine: a boot takes long, and what it is to be seen by does not.

use super::Promise;

/// One workload that does what all of these do, one after another, with the flags of all. They
/// must not contradict each other, nor read anything.
pub fn together(promises: Vec<Promise>) -> Promise {
    let mut flags: Vec<&[&str]> = Vec::new();
    let mut script = String::new();
    let (mut stdout, mut stderr) = (Vec::new(), String::new());
    for promise in promises {
        for flag in promise.flags.chunk_by(|_, next| !next.starts_with('-')) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        let words: Vec<_> = promise.command.iter().map(|word| quoted(word)).collect();
        script += &format!("{}; echo ended with $?\n", words.join(" "));
        stdout.extend(promise.stdout);
        stdout.extend(format!("ended with {}\n", promise.code).bytes());
        stderr += promise.stderr;
    }
    Promise {
        flags: flags.concat().leak(),
        command: vec!["sh", "-c", script.leak()].leak(),
        stdout,
        stderr: stderr.leak(),
        ..Promise::default()
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
