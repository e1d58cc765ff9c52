use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::futex;

use crate::failure::Failure;
use crate::one_cpu::OneCpu;
use crate::processes::{fork, wait_for};
use crate::report::Report;
use crate::sampling::{sample, time_batch};

pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let _one_cpu = OneCpu::hold()?;
    pipes(report)?;
    futexes(report)
}

/// A byte to another process by a pipe, and one back.
fn pipes(report: &mut Report) -> Result<(), Failure> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(Failure::of("make a pipe"));
    let (question, ask) = pipe()?;
    let (answer, reply) = pipe()?;
    let child = {
        let (ask, answer) = (&ask, &answer);
        fork(move || {
            // Its copies of these would keep the pipes open.
            // SAFETY: the child ends without dropping what the parent owns.
            unsafe {
                libc::close(std::os::fd::AsRawFd::as_raw_fd(ask));
                libc::close(std::os::fd::AsRawFd::as_raw_fd(answer));
            }
            echo(&question, &reply)
        })?
    };
    let mut byte = [0];
    let values = sample(|| {
        time_batch(1, || {
            pass(&ask, &answer, &mut byte).map_err(Failure::of("pass a byte"))?;
            Ok(())
        })
    })?;
    // Which ends the child.
    drop(ask);
    wait_for(child)?;
    report.add("pipe-round-trip", 1, values);
    Ok(())
}

fn pass(ask: impl AsFd, answer: impl AsFd, byte: &mut [u8; 1]) -> rustix::io::Result<usize> {
    write(ask, byte)?;
    read(answer, byte)
}

/// Sends back each byte that comes, to the last.
fn echo(question: &OwnedFd, reply: &OwnedFd) -> i32 {
    let mut byte = [0];
    loop {
        match read(question, &mut byte) {
            Ok(0) => return 0,
            Ok(_) if write(reply, &byte).is_ok() => {}
            _ => return 1,
        }
    }
}

/// Whose turn it is.
const MINE: u32 = 0;
const YOURS: u32 = 1;
const OVER: u32 = 2;

/// To another thread by a futex, and back.
fn futexes(report: &mut Report) -> Result<(), Failure> {
    let turn = AtomicU32::new(MINE);
    let values = thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, || {
            while wait_while(&turn, MINE) == YOURS {
                hand_over(&turn, MINE);
            }
        });
        other.map_err(Failure::of("start a thread"))?;
        let values = sample(|| {
            let began = Instant::now();
            hand_over(&turn, YOURS);
            wait_while(&turn, YOURS);
            Ok(began.elapsed())
        });
        hand_over(&turn, OVER);
        values
    })?;
    report.add("futex-round-trip", 1, values);
    Ok(())
}

fn hand_over(turn: &AtomicU32, to: u32) {
    turn.store(to, Ordering::Release);
    // Nobody may be asleep, which is no failure, and there is no other.
    let _ = futex::wake(turn, futex::Flags::PRIVATE, 1);
}

/// What it is when it is no longer this.
fn wait_while(turn: &AtomicU32, this: u32) -> u32 {
    loop {
        match turn.load(Ordering::Acquire) {
            now if now != this => return now,
            // Whatever ends it, the turn tells.
            _ => {
                let _ = futex::wait(turn, futex::Flags::PRIVATE, this, None);
            }
        }
    }
}
