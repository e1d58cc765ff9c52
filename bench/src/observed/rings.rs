//! The rings in which the kernel tells what happened, `perf_event_open(2)`: one for each processor and
//! tracepoint.

use std::io;

use launch::MonotonicNs;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};
use perf_event::events::Tracepoint as Event;
use perf_event::{Builder, Clock, SampleFlag, Sampler};

use super::tally::Window;
use super::tracepoint::Tracepoint;

/// The memory of all rings together, at most: what a million calls a second tell in a tenth of one.
const ALL_BYTES: usize = 16 << 20;

/// Each has this at least.
const LEAST_BYTES: usize = 64 << 10;

/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE`, include/uapi/linux/perf_event.h.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;

pub(super) struct Rings {
    rings: Vec<(Tracepoint, Sampler)>,
}

impl Rings {
    /// Of what the calling thread starts from now on, and all that comes of it, from the program on
    /// that it executes.
    pub(super) fn of_this_thread<'a>(
        tracepoints: impl Iterator<Item = &'a Tracepoint>,
    ) -> io::Result<Self> {
        let processors = sysconf(SysconfVar::_NPROCESSORS_CONF)?.unwrap_or(1);
        let processors = usize::try_from(processors).unwrap_or(1).max(1);
        let tracepoints: Vec<_> = tracepoints.collect();
        let share = ALL_BYTES / (processors * tracepoints.len().max(1));
        let bytes = (share.max(LEAST_BYTES) + 1).next_power_of_two() / 2;
        let mut rings = Vec::new();
        for tracepoint in tracepoints {
            for processor in 0..processors {
                match open(tracepoint, processor, bytes) {
                    Ok(ring) => rings.push((tracepoint.clone(), ring)),
                    // One that is switched off.
                    Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Self { rings })
    }

    /// Takes all that was told.
    pub(super) fn fetch(&mut self, window: &mut Window) {
        for (tracepoint, ring) in &mut self.rings {
            while let Some(record) = ring.next_record() {
                let bytes = record.to_contiguous();
                match record.ty() {
                    SAMPLE => {
                        if let Some((at, told)) = sample(&bytes)
                            && let Some(key) = tracepoint.key(told)
                        {
                            window.add(at, (tracepoint.id(), key));
                        }
                    }
                    LOST => window.lose(lost(&bytes).unwrap_or(0)),
                    _ => {}
                }
            }
        }
    }
}

fn open(tracepoint: &Tracepoint, processor: usize, bytes: usize) -> io::Result<Sampler> {
    let mut builder = Builder::new(Event::with_id(tracepoint.id().into()));
    builder
        .observe_self()
        .one_cpu(processor)
        .include_kernel()
        .include_hv()
        .enabled(false)
        .enable_on_exec(true)
        .inherit(true)
        .sample_period(1)
        .sample(SampleFlag::TIME)
        .sample(SampleFlag::RAW)
        .clockid(Clock::MONOTONIC);
    builder.build()?.sampled(bytes)
}

/// The moment of a record, and what its tracepoint tells.
fn sample(record: &[u8]) -> Option<(MonotonicNs, &[u8])> {
    let (at, rest) = record.split_first_chunk()?;
    let (length, told) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    Some((MonotonicNs(u64::from_le_bytes(*at)), told.get(..length)?))
}

/// How many records there was no room for; before it is which ring's.
fn lost(record: &[u8]) -> Option<u64> {
    let (_, rest) = record.split_first_chunk::<8>()?;
    let (records, _) = rest.split_first_chunk()?;
    Some(u64::from_le_bytes(*records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_moment_and_what_is_told() {
        let record = [&7u64.to_le_bytes()[..], &3u32.to_le_bytes(), &[1, 2, 3, 0]].concat();
        assert_eq!(sample(&record), Some((MonotonicNs(7), &[1, 2, 3][..])));
        assert_eq!(sample(&record[..14]), None);
        assert_eq!(sample(&record[..9]), None);
        let record = [5u64.to_le_bytes(), 9u64.to_le_bytes()].concat();
        assert_eq!(lost(&record), Some(9));
        assert_eq!(lost(&record[..15]), None);
    }
}
