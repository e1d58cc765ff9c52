use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Sample;

/// What is measured of each run, in the order in which it gets there. In nanoseconds, but for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From the entry of `launch()` to the doorbell before the command's `execve`.
    Main,
    /// From the entry of `launch()` to the first sign that the workload is ready.
    Ready,
    /// What the instance's cgroup is charged that can't be reclaimed, in bytes: two seconds after main
    /// or, if it is ended as soon as it is ready, then.
    Memory,
    /// The processor time that the instance uses in a minute as it does nothing, with all that serves it:
    /// from where it was followed, for five seconds.
    Idle,
    /// The processor time that the instance has used from its launch to where it was followed, with all
    /// that serves it: a VM's monitor and its guest.
    Cpu,
    /// From the entry of `launch()` to the command's exit status.
    Exit,
    /// From `SIGKILL`, two seconds after main or when it is ready, to the command's exit status.
    Stop,
    /// From the command's exit status until nothing of the instance is left.
    Gone,
}

impl Metric {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Main,
        Self::Ready,
        Self::Memory,
        Self::Idle,
        Self::Cpu,
        Self::Exit,
        Self::Stop,
        Self::Gone,
    ];

    /// The word that it is asked for by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Ready => "ready",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Cpu => "cpu",
            Self::Exit => "exit",
            Self::Stop => "stop",
            Self::Gone => "gone",
        }
    }

    /// What this run says of it, in nanoseconds or bytes; `None` if it failed or did not get there.
    pub fn of(self, sample: &Sample) -> Option<u64> {
        match self {
            Self::Main => sample.launch_to_main_ns,
            Self::Ready => sample.launch_to_ready_ns,
            Self::Memory => sample.memory_bytes,
            Self::Idle => sample.idle_cpu_ns,
            Self::Cpu => sample.cpu_ns,
            Self::Exit => sample.launch_to_exit_ns,
            Self::Stop => sample.kill_to_exit_ns,
            Self::Gone => sample.exit_to_gone_ns,
        }
        .filter(|_| !sample.has_failed())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "launch to main",
            Self::Ready => "launch to ready",
            Self::Memory => "memory, unreclaimable",
            Self::Idle => "processor time a minute, idle",
            Self::Cpu => "processor time",
            Self::Exit => "launch to exit",
            Self::Stop => "kill to exit",
            Self::Gone => "exit to gone",
        })
    }
}

/// There is no metric of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric {0:?}: there are {words}", words = words())]
pub struct UnknownMetric(String);

fn words() -> String {
    Metric::ALL.map(Metric::word).join(", ")
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(word: &str) -> Result<Self, UnknownMetric> {
        let found = Self::ALL.into_iter().find(|metric| metric.word() == word);
        found.ok_or_else(|| UnknownMetric(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_word_and_another_is_refused() {
        for metric in Metric::ALL {
            assert_eq!(metric.word().parse(), Ok(metric));
        }
        assert_eq!(
            "speed".parse::<Metric>().unwrap_err().to_string(),
            "there is no metric \"speed\": there are main, ready, memory, idle, cpu, exit, stop, gone"
        );
    }
}
