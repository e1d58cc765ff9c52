//! Calls of real processes, watched.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use tracer::{Call, watch};

/// Watches what `sh -c SCRIPT` does.
///
/// All is one test, as a watcher may have no other children.
fn calls_of(script: &str) -> Vec<Call> {
    let (mut gate, mut opener) = pipe().unwrap();
    // SAFETY: the child only reads and executes; no other thread of this program holds a lock that
    // it needs, as the harness runs one test.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(opener);
            let _ = gate.read(&mut [0]);
            let error = Command::new("sh").args(["-c", script]).exec();
            panic!("no shell: {error}");
        }
        ForkResult::Parent { child } => {
            drop(gate);
            let calls = watch(child, || opener.write_all(&[0])).unwrap();
            // It was waited for.
            waitpid(child, None).unwrap_err();
            calls
        }
    }
}

#[test]
fn what_a_process_and_its_children_do_is_seen_in_order() {
    let calls = calls_of("exec 3</dev/null; (cd /proc; kill -35 $$; true); rmdir /nowhere; exit 3");
    let seen = |text: &str| {
        let found = calls
            .iter()
            .position(|call| call.to_string().contains(text));
        found.unwrap_or_else(|| panic!("no {text} among {calls:#?}"))
    };
    let open = seen("\"/dev/null\"");
    let chdir = seen("chdir(\"/proc\")");
    assert!(open < chdir);
    assert_ne!(
        calls[open].task, calls[chdir].task,
        "the subshell is another process"
    );
    // A real-time signal, which few libraries have a name for, ended the shell.
    assert!(!calls.iter().any(|call| call.arguments.contains("nowhere")));
    assert!(calls.iter().all(|call| call.times > 0));

    let calls = calls_of("rmdir /nowhere; exit 3");
    let failed = calls.iter().find(|call| call.name == "rmdir").unwrap();
    assert_eq!(failed.to_string(), "rmdir(\"/nowhere\") = ENOENT");
    let end = calls
        .iter()
        .rfind(|call| call.name == "exit_group")
        .unwrap();
    assert_eq!((end.arguments.as_str(), end.result), ("3", None));
}
