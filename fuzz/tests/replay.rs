//! Every target takes what was found worth keeping, which is in `corpus/`, and inputs made from that: a
//! short run, the same each time, that needs nothing of libFuzzer's. And what an input does is the same
//! whatever was before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, process, thread};

use fuzz::{MemoryAfter, REPEATABLE, TARGETS, Target};
use guest_images::store::BlobDigest;
use libtest_mimic::{Arguments, Failed, Trial};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// How many inputs are made for each target.
const MADE: usize = 10_000;
/// How many of them are repeated.
const REPEATED: usize = 1000;
/// Longest one, in bytes.
const MAX_INPUT_BYTES: usize = 600;
/// How long no input may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let replayed = TARGETS
        .iter()
        .map(|target| Trial::test(target.name, || replay(target)));
    let repeated = REPEATABLE.iter().map(|(name, memory_after)| {
        Trial::test(format!("{name}_is_as_new_for_each_input"), || {
            repeat(name, *memory_after)
        })
    });
    let trials = replayed.chain(repeated).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn replay(target: &Target) -> Result<(), Failed> {
    let kept = corpus(target.name)?;
    if kept.is_empty() {
        return Err(format!("nothing is kept for {}", target.name).into());
    }
    let mut random = Pcg64Mcg::seed_from_u64(0);
    let made = (0..MADE).map(|_| make(&mut random, &kept));
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (finished, watched) = mpsc::channel::<()>();
        scope.spawn(|| watch(target, &done, watched));
        let _finished = finished;
        for input in kept.iter().cloned().chain(made) {
            let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
            if result.is_err() {
                return Err(Failed::from(format!("it panics with {}", hex(&input))));
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}

/// Feeds each input to a thread that has had no other, and then all of them to one, the last first.
fn repeat(target: &str, memory_after: MemoryAfter) -> Result<(), Failed> {
    let mut inputs = corpus(target)?;
    let mut random = Pcg64Mcg::seed_from_u64(0);
    let made: Vec<_> = (0..REPEATED).map(|_| make(&mut random, &inputs)).collect();
    inputs.extend(made);
    let after = |input: &Vec<u8>| BlobDigest::of(&memory_after(input));
    let alone: Vec<_> = inputs
        .iter()
        .map(|input| thread::scope(|scope| scope.spawn(|| after(input)).join()))
        .collect();
    for (input, alone) in inputs.iter().zip(alone).rev() {
        let alone = alone.map_err(|_| format!("it panics with {}", hex(input)))?;
        if after(input) != alone {
            return Err(format!("it depends on what was before {}", hex(input)).into());
        }
    }
    Ok(())
}

/// Ends the process when an input does not come to an end.
fn watch(target: &Target, done: &AtomicUsize, finished: mpsc::Receiver<()>) {
    let mut before = None;
    while let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(PATIENCE) {
        let now = Some(done.load(Ordering::Relaxed));
        if now == before {
            eprintln!("{}: input {now:?} does not come to an end", target.name);
            process::abort();
        }
        before = now;
    }
}

/// An input a line, as hexadecimal digits.
fn corpus(target: &str) -> Result<Vec<Vec<u8>>, Failed> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let digits = fs::read_to_string(dir.join(target))?;
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    let input = |line: &str| line.as_bytes().chunks(2).map(byte).collect();
    digits.lines().map(input).collect()
}

/// Noise, or what was kept with some of it changed.
fn make(random: &mut Pcg64Mcg, kept: &[Vec<u8>]) -> Vec<u8> {
    if random.random_ratio(1, 4) {
        let mut noise = vec![0; random.random_range(0..MAX_INPUT_BYTES)];
        random.fill(&mut noise[..]);
        return noise;
    }
    let mut input = kept[random.random_range(0..kept.len())].clone();
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..5) {
            0 => input.insert(at, random.random()),
            1 => input.truncate(at),
            // The end of another.
            2 => {
                let other = &kept[random.random_range(0..kept.len())];
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ if at < input.len() => input[at] = random.random(),
            _ => input.push(random.random()),
        }
        input.truncate(MAX_INPUT_BYTES);
    }
    input
}

fn hex(input: &[u8]) -> String {
    input.iter().map(|byte| format!("{byte:02x}")).collect()
}
