//! How the figures came about, and what the words mean.

use maud::{Markup, html};

use crate::statistics::{CONFIDENCE, MARGIN, MIN_PAIRS, SIGNIFICANCE, TAIL_FROM};
use crate::units::time;
use crate::{Comparison, Ended, Metric, Series};

pub(super) fn section(comparison: &Comparison) -> Markup {
    html! {
        section.box aria-labelledby="method" {
            h2 #method { "Method" }
            @if let Some(series) = &comparison.series { (series_of(series)) }
            dl {
                dt { (Metric::Main) }
                dd {
                    "From the entry of launch(), with the image unpacked and everything cached on both sides, "
                    "to the doorbell that our code rings immediately before the command's execve. "
                    "The host's CLOCK_MONOTONIC; never a guest's clock."
                }
                dt { (Metric::Memory) }
                dd { "What the instance's cgroup is charged two seconds after main, or when it is ready, and could not be taken back." }
                dt { (Metric::Cpu) }
                dd { "What the instance's cgroup has used until its run was over: the container's processes, or the monitor with its guest." }
                dt { (Metric::Idle) }
                dd { "The same of five seconds in which the command waits, counted as of a minute: from two seconds after main on, or from when it was ready." }
                dt { (Metric::Exit) }
                dd { "From the entry of launch() until the host knows the command's exit status." }
                dt { (Metric::Stop) }
                dd { "From SIGKILL to the command, two seconds after main or when it is ready, until the host knows its exit status." }
                dt { (Metric::Gone) }
                dd { "From the exit status until nothing of the instance is left: processes, cgroup, mounts, files." }
                dt { "vm cold, vm warm" }
                dd { "A VM that boots its kernel, and one that goes on from a template in which a kernel has booted. They are never one column." }
                dt { "memory" }
                dd { "What is charged to the one cgroup that holds the container's processes, or the monitor with its guest's memory." }
                dt { "verdict" }
                dd {
                    "About the median of the differences within rounds, with its "
                    (format!("{:.0}", CONFIDENCE * 100.0)) " % bootstrap interval. Faster and slower need an interval without zero and a Mann-Whitney p below "
                    (SIGNIFICANCE) "; equivalent is an interval within " (format!("{:.0}", MARGIN * 100.0))
                    " % of the reference's median. With fewer than " (MIN_PAIRS) " pairs nothing is said. p99 is told from "
                    (TAIL_FROM) " runs on."
                }
            }
        }
    }
}

fn series_of(series: &Series) -> Markup {
    let warm_up = series.samples.iter().filter(|it| it.is_warm_up).count();
    let failed = series.samples.iter().filter(|it| it.has_failed()).count();
    html! {
        p {
            (series.rounds) " of " (series.runs_asked) " rounds in " (time(series.took_ns))
            ", in random order and then backwards (seed " (series.seed) "). "
            (warm_up) " runs before them only warmed up. " (failed) " runs failed; they are counted and in no figure."
            @match series.ended {
                Ended::Complete => {}
                Ended::OutOfTime => " There was no time for all runs of each (--budget-time).",
                Ended::Interrupted => " It was interrupted.",
            }
        }
    }
}
