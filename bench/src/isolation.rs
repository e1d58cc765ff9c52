use launch::{Launcher, Side, Surface, Workload};
use serde::{Deserialize, Serialize};

use crate::units::three_digits;
use crate::{Count, Observed, ObservedReading, Way};

/// What stands between a command and the host: counts, and never a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// What of the host's kernel can be reached.
    pub surface: Surface,
    /// Lines of jaula's own code that it rests on, in the host: without empty ones, comments and
    /// tests, and without libraries. The host's kernel comes on top, on both sides.
    pub trusted_lines: usize,
    /// What was seen of it in the run that was checked.
    pub observed: ObservedReading,
}

impl Isolation {
    /// Of an instance of this; `None` if it can't be told.
    pub(crate) fn of(
        launcher: &dyn Launcher,
        way: Way,
        workload: &Workload,
        observed: Option<ObservedReading>,
    ) -> Option<Self> {
        let lines = match way.side() {
            Side::Container => env!("JAULA_LINES_CONTAINER"),
            Side::Vm => env!("JAULA_LINES_VM"),
        };
        Some(Self {
            surface: launcher.surface(workload).ok()?,
            trusted_lines: lines.parse().ok()?,
            observed: observed.unwrap_or_else(|| {
                ObservedReading::unavailable(
                    "no run is watched where none is timed, as watching is in its times",
                )
            }),
        })
    }

    /// The heads of a table's rows.
    pub(crate) const ROWS: [&str; 10] = [
        "kernel that serves the command",
        "host system calls allowed",
        "host system calls observed",
        "KVM ioctls allowed",
        "exits to the monitor a second, by reason",
        "exits of the processor a second, by reason",
        "devices emulated by jaula",
        "capabilities in the host",
        "namespaces of its own",
        "jaula's own lines of code behind it",
    ];

    /// What stands beside them.
    pub(crate) fn column(&self) -> [String; 10] {
        let Surface {
            is_kernel_shared,
            allowed_calls,
            kvm_ioctls,
            emulated_devices,
            capabilities,
            namespaces,
        } = &self.surface;
        let [calls, to_monitor, of_processor] = self.observed_cells();
        [
            if *is_kernel_shared {
                "the host's".into()
            } else {
                "its own".into()
            },
            allowed_calls.map_or_else(|| "all".into(), |count| count.to_string()),
            calls,
            kvm_ioctls.to_string(),
            to_monitor,
            of_processor,
            emulated_devices.to_string(),
            capabilities.to_string(),
            namespaces.to_string(),
            self.trusted_lines.to_string(),
        ]
    }

    /// What is said of system calls and exits.
    fn observed_cells(&self) -> [String; 3] {
        let no_exits = |unknown: &str| match self.surface.is_kernel_shared {
            true => "none, without a VM".to_owned(),
            false => unknown.to_owned(),
        };
        match &self.observed {
            ObservedReading::Unavailable { .. } => {
                let exits = no_exits("not known");
                ["not known".into(), exits.clone(), exits]
            }
            ObservedReading::Taken(observed) => {
                let exits = |counts: &Option<Vec<Count>>, unknown| match counts {
                    Some(counts) => observed.a_second(counts),
                    None => no_exits(unknown),
                };
                [
                    format!(
                        "{} different, {} in all",
                        observed.calls.len(),
                        observed.all_calls()
                    ),
                    exits(&observed.exits_to_monitor, "not told by this kernel"),
                    exits(&observed.exits_of_processor, "not told by this host's KVM"),
                ]
            }
        }
    }

    /// What must be known to read what was observed.
    pub(crate) fn note(&self) -> Option<String> {
        match &self.observed {
            ObservedReading::Unavailable { reason } => Some(format!(
                "System calls and exits were not counted: {reason}."
            )),
            ObservedReading::Taken(Observed { lost: 0, .. }) => None,
            ObservedReading::Taken(Observed { lost, .. }) => Some(format!(
                "{lost} more calls and exits came too fast to be told apart, and are in no count."
            )),
        }
    }

    /// Who is meant.
    pub(crate) const SENTENCE: &str = "Counts, not a score. In a container it is the command that \
        may do this; behind a VM it is the monitor, once a guest has broken out of its kernel and \
        into that. Observed is what the run that was checked did from main to its end, the \
        command's processes or the monitor with all its threads, by the kernel's tracepoints. Libraries and \
        the host's kernel come on top of the lines.";
}

/// Reasons that are shown, at most: the rest is in the JSON.
const MOST_REASONS: usize = 8;

impl Observed {
    /// How many system calls there were.
    pub(crate) fn all_calls(&self) -> u64 {
        self.calls.iter().map(|it| it.times).sum()
    }

    /// How many there were in a second, the most frequent first.
    fn a_second(&self, counts: &[Count]) -> String {
        let rate = |times: u64| three_digits(times as f64 * 1e9 / self.watched_ns.max(1) as f64);
        let all: u64 = counts.iter().map(|it| it.times).sum();
        let (shown, rest) = counts.split_at(counts.len().min(MOST_REASONS));
        let mut parts: Vec<_> = shown
            .iter()
            .map(|it| format!("{} {}", it.name, rate(it.times)))
            .collect();
        if !rest.is_empty() {
            parts.push(format!(
                "other {}",
                rate(rest.iter().map(|it| it.times).sum())
            ));
        }
        match parts.is_empty() {
            true => "none".into(),
            false => format!("{}: {}", rate(all), parts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolation(is_kernel_shared: bool, observed: ObservedReading) -> Isolation {
        Isolation {
            surface: Surface {
                is_kernel_shared,
                allowed_calls: Some(67),
                kvm_ioctls: 0,
                emulated_devices: 0,
                capabilities: 0,
                namespaces: 0,
            },
            trusted_lines: 1,
            observed,
        }
    }

    fn counts(counts: &[(&str, u64)]) -> Vec<Count> {
        let count = |(name, times): &(&str, u64)| Count {
            name: (*name).into(),
            times: *times,
        };
        counts.iter().map(count).collect()
    }

    #[test]
    fn what_was_observed_is_told_with_its_rates() {
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
            .map(|name| (name, 4))
            .into();
        let observed = Observed {
            watched_ns: 2_000_000_000,
            calls: counts(&[("read", 20), ("write", 3)]),
            exits_to_monitor: Some(counts(&[("mmio", 11), ("io", 1)])),
            exits_of_processor: Some(counts(&many)),
            lost: 0,
        };
        let of_vm = isolation(false, ObservedReading::Taken(observed.clone()));
        assert_eq!(
            of_vm.observed_cells(),
            [
                "2 different, 23 in all",
                "6.00: mmio 5.50, io 0.50",
                "20.0: a 2.00, b 2.00, c 2.00, d 2.00, e 2.00, f 2.00, g 2.00, h 2.00, other 4.00",
            ]
        );
        assert_eq!(of_vm.note(), None);
        let some_lost = Observed {
            exits_of_processor: None,
            lost: 5,
            ..observed
        };
        let of_vm = isolation(false, ObservedReading::Taken(some_lost));
        assert_eq!(of_vm.observed_cells()[2], "not told by this host's KVM");
        assert!(of_vm.note().unwrap().starts_with("5 more calls"));
    }

    #[test]
    fn what_could_not_be_observed_is_no_zero() {
        let unknown = ObservedReading::unavailable("only root may watch it");
        let of_vm = isolation(false, unknown.clone());
        assert_eq!(of_vm.observed_cells(), ["not known"; 3]);
        assert_eq!(
            of_vm.note().unwrap(),
            "System calls and exits were not counted: only root may watch it."
        );
        let of_container = isolation(true, unknown).observed_cells();
        assert_eq!(
            of_container,
            ["not known", "none, without a VM", "none, without a VM"]
        );
    }
}
