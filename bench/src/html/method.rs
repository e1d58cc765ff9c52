//! How the figures came about, and what the words mean.

use maud::{Markup, html};

use crate::Metric;
use crate::statistics::{CONFIDENCE, MARGIN, MIN_PAIRS, SIGNIFICANCE, TAIL_FROM};

pub(super) fn section() -> Markup {
    html! {
        section.box aria-labelledby="method" {
            h2 #method { "Method" }
            dl {
                dt { (Metric::Main) }
                dd {
                    "From the entry of launch(), with the image unpacked and everything cached on both sides, "
                    "to the doorbell that our code rings immediately before the command's execve. "
                    "The host's CLOCK_MONOTONIC; never a guest's clock."
                }
                dt { (Metric::Ready) }
                dd {
                    "From the entry of launch() to the first sign that was asked for: a TCP connection that is taken, "
                    "an HTTP request that is answered with 200, or a line of output."
                }
                dt { "jaula run, other runners" }
                dd { "From the execution of their program, with all that it does before it launches anything. Other runners are held against jaula run, and that against its own way, which tells what the program takes." }
                dt { (Metric::Memory) }
                dd { "What the instance's cgroup is charged two seconds after main, or when it is ready, and could not be taken back." }
                dt { (Metric::Cpu) }
                dd { "What the instance's cgroup has used until its run was over: the container's processes, or the monitor with its guest." }
                dt { (Metric::Idle) }
                dd { "The same of five seconds in which the command waits, counted as of a minute: from two seconds after main on, or from when it was ready." }
                dt { (Metric::Exit) }
                dd { "From the entry of launch() until the host hands on the command's exit status: a container's first process is gone then, or a VM's monitor." }
                dt { (Metric::Stop) }
                dd { "From SIGKILL to the command, two seconds after main or when it is ready, until the host hands on its exit status." }
                dt { (Metric::Gone) }
                dd { "From the exit status until nothing else of the instance is left: helpers, cgroup, mounts, files." }
                dt { "vm cold, vm warm" }
                dd { "A VM that boots its kernel, and one that goes on from a template in which a kernel has booted. They are never one column." }
                dt { "memory" }
                dd { "What is charged to the one cgroup that holds the container's processes, or the monitor with its guest's memory." }
                dt { "what one more costs" }
                dd {
                    "The median of the slopes between any two steps (Theil-Sen) of the host's available memory over the number of instances, "
                    "with its 95 % interval from five steps on; beside it the same of what their cgroups are charged."
                }
                dt { "memory that was freed" }
                dd {
                    "What the command has taken is what the charge grew by from main to its most. How much of it the host has back is read "
                    "when the command says that it has freed it, 5 and 30 seconds later."
                }
                dt { "disk" }
                dd { "Blocks that are allocated on the host's file systems: what all instances share, and what one has for itself at main and at its end." }
                dt { "what the workload reports" }
                dd {
                    "Single operations by the clock inside, a guest's too: the host's clock checks how long it all took. "
                    "“CPU each” is the processor time of the whole instance while an operation was measured, by operation."
                }
                dt { "what stands between" }
                dd { "Counts of what is there and of what was observed in the run that was checked, with no weight and no score." }
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
