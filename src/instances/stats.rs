//! `jaula stats`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::size;
use host::instances::Found;
use launch::{Network, Side, Usage};
use serde::Serialize;

use super::{Failure, World, running};
use crate::args::{Format, StatsArgs};
use crate::error::Error;
use crate::{listing, output};

/// Between two looks, from which the use of the processor is reckoned.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What takes the place of what is not known: docker's.
const UNKNOWN: &str = "--";

/// Clears a terminal, `console_codes(4)`.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows what instances use, until it is interrupted or, where it was told which, all have ended.
pub fn stats(args: &StatsArgs) -> Result<u8, Error> {
    let world = World::open()?;
    let mut before = world.look(&args.names)?;
    loop {
        let start = Instant::now();
        sleep(LOOK_EVERY);
        let now = match world.look(&args.names) {
            // Those that were named have ended meanwhile.
            Err(Error::NotDone(_)) if !args.no_stream => return Ok(0),
            now => now?,
        };
        let elapsed = start.elapsed();
        let rows: Vec<_> = now
            .iter()
            .map(|(id, sample)| Row::new(id, before.get(id), sample, elapsed))
            .collect();
        let text = match args.format {
            Format::Table => table(&rows),
            Format::Json => json(&rows)?,
        };
        if args.no_stream {
            if !text.is_empty() {
                output::print(&text)?;
            }
            return Ok(0);
        }
        let clear = match args.format {
            Format::Table if io::stdout().is_terminal() => CLEAR,
            _ => "",
        };
        output::print(&format!("{clear}{text}"))?;
        before = now;
    }
}

/// What an instance used at a moment.
struct Sample {
    name: String,
    usage: Usage,
}

type Samples = BTreeMap<String, Sample>;

impl World {
    /// Looks at those with these names, or at all that run.
    fn look(&self, names: &[String]) -> Result<Samples, Error> {
        if names.is_empty() {
            let all = self.instances.list().map_err(Failure::from)?;
            // One that ends meanwhile is left out, and so is one without a cgroup.
            let samples = all
                .iter()
                .filter(|found| found.is_running())
                .filter_map(|found| self.sample(found).ok());
            return Ok(samples.collect());
        }
        names
            .iter()
            .map(|name| {
                let found = self.instances.find(name).map_err(Failure::from)?;
                running(&found)?;
                Ok(self.sample(&found)?)
            })
            .collect()
    }

    fn sample(&self, found: &Found) -> Result<(String, Sample), Failure> {
        let record = &found.record;
        let mut usage = self.cgroup(found)?.usage()?;
        // A VM has no network, and on the host's others are counted.
        if record.asked.side == Side::Container && record.asked.network != Network::Host {
            let path = format!("/proc/{}/net/dev", record.process.pid);
            let devices = fs::read_to_string(path).unwrap_or_default();
            let (received, sent) = network_bytes(&devices);
            usage.network_received_bytes = received;
            usage.network_sent_bytes = sent;
        }
        let name = record.name.clone();
        Ok((record.id.clone(), Sample { name, usage }))
    }
}

/// What has come and gone over all interfaces but the loopback, `proc_pid_net(5)`; nothing is
/// known of where there is none.
fn network_bytes(devices: &str) -> (Option<u64>, Option<u64>) {
    let mut sums = (None, None);
    for line in devices.lines() {
        let Some((name, counts)) = line.split_once(':') else {
            continue;
        };
        let counts: Vec<u64> = counts
            .split_ascii_whitespace()
            .map_while(|count| count.parse().ok())
            .collect();
        // Each direction has eight counters, bytes first.
        if name.trim() != "lo"
            && let (Some(received), Some(sent)) = (counts.first(), counts.get(8))
        {
            sums.0 = Some(sums.0.unwrap_or(0) + received);
            sums.1 = Some(sums.1.unwrap_or(0) + sent);
        }
    }
    sums
}

/// docker's keys.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "CPUPerc")]
    cpu: String,
    #[serde(rename = "MemUsage")]
    memory: String,
    #[serde(rename = "MemPerc")]
    memory_share: String,
    #[serde(rename = "NetIO")]
    network: String,
    #[serde(rename = "BlockIO")]
    block: String,
    #[serde(rename = "PIDs")]
    pids: String,
}

impl Row {
    fn new(id: &str, before: Option<&Sample>, now: &Sample, elapsed: Duration) -> Self {
        let Usage {
            cpu_ns,
            memory_bytes,
            memory_limit_bytes,
            pids,
            block_read_bytes,
            block_written_bytes,
            network_received_bytes,
            network_sent_bytes,
        } = now.usage;
        // Without a limit the host's memory is one.
        let limit = memory_limit_bytes.or_else(|| host::capacity::memory_total_bytes().ok());
        let share = |part: u64, whole: u64| percent(part as f64 / whole as f64);
        let used_ns = before.and_then(|before| cpu_ns?.checked_sub(before.usage.cpu_ns?));
        Self {
            id: id.to_owned(),
            name: now.name.clone(),
            cpu: used_ns.map_or_else(unknown, |ns| percent(ns as f64 / elapsed.as_nanos() as f64)),
            memory: pair(memory_bytes, limit),
            memory_share: memory_bytes
                .zip(limit)
                .map_or_else(unknown, |(bytes, limit)| share(bytes, limit)),
            network: pair(network_received_bytes, network_sent_bytes),
            block: pair(block_read_bytes, block_written_bytes),
            pids: pids.map_or_else(unknown, |pids| pids.to_string()),
        }
    }
}

fn unknown() -> String {
    UNKNOWN.into()
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

fn pair(first: Option<u64>, second: Option<u64>) -> String {
    let [first, second] = [first, second].map(|bytes| bytes.map_or_else(unknown, size));
    format!("{first} / {second}")
}

fn table(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                &row.id,
                &row.name,
                &row.cpu,
                &row.memory,
                &row.memory_share,
                &row.network,
                &row.block,
                &row.pids,
            ]
            .map(Clone::clone)
        })
        .collect();
    let heads = [
        "INSTANCE ID",
        "NAME",
        "CPU %",
        "MEM USAGE / LIMIT",
        "MEM %",
        "NET I/O",
        "BLOCK I/O",
        "PIDS",
    ];
    listing::render(heads, &rows)
}

fn json(rows: &[Row]) -> Result<String, launch::Error> {
    let lines = rows.iter().map(serde_json::to_string);
    let lines: Vec<_> = lines
        .collect::<Result<_, _>>()
        .map_err(launch::Error::new)?;
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_ns: Option<u64>) -> Sample {
        Sample {
            name: "web".into(),
            usage: Usage {
                cpu_ns,
                memory_bytes: Some(16 << 20),
                memory_limit_bytes: Some(64 << 20),
                pids: Some(3),
                ..Usage::default()
            },
        }
    }

    #[test]
    fn what_goes_over_the_loopback_is_not_counted() {
        let heads = "Inter-|   Receive  |  Transmit\n face |bytes    packets\n";
        let lo = "    lo:     100  1 0 0 0 0 0 0      100  1 0 0 0 0 0 0\n";
        let eth = "  eth0:     7  1 0 0 0 0 0 0      9  1 0 0 0 0 0 0\n";
        for (devices, expected) in [
            (format!("{heads}{lo}"), (None, None)),
            (format!("{heads}{lo}{eth}"), (Some(7), Some(9))),
            (format!("{heads}{eth}{eth}"), (Some(14), Some(18))),
            (String::new(), (None, None)),
        ] {
            assert_eq!(network_bytes(&devices), expected, "{devices}");
        }
    }

    #[test]
    fn what_is_used_is_told_and_what_is_not_known_is_not_made_up() {
        let second = Duration::from_secs(1);
        let (before, now) = (sample(Some(1_000_000_000)), sample(Some(1_250_000_000)));
        let row = Row::new("aa11", Some(&before), &now, second);
        assert_eq!(
            [
                &row.cpu,
                &row.memory,
                &row.memory_share,
                &row.network,
                &row.pids
            ],
            ["25.00%", "16.0 MiB / 64.0 MiB", "25.00%", "-- / --", "3"]
        );
        assert_eq!(Row::new("aa11", None, &now, second).cpu, "--");
        assert_eq!(
            Row::new("aa11", Some(&before), &sample(None), second).cpu,
            "--"
        );
    }
}
