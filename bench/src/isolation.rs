use launch::{Launcher, Side, Surface, Workload};
use serde::{Deserialize, Serialize};

use crate::Way;

/// What stands between a command and the host: counts, and never a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// What of the host's kernel can be reached.
    pub surface: Surface,
    /// Lines of jaula's own code that it rests on, in the host: without empty ones, comments and
    /// tests, and without libraries. The host's kernel comes on top, on both sides.
    pub trusted_lines: usize,
}

impl Isolation {
    /// Of an instance of this; `None` if it can't be told.
    pub(crate) fn of(launcher: &dyn Launcher, way: Way, workload: &Workload) -> Option<Self> {
        let lines = match way.side() {
            Side::Container => env!("JAULA_LINES_CONTAINER"),
            Side::Vm => env!("JAULA_LINES_VM"),
        };
        Some(Self {
            surface: launcher.surface(workload).ok()?,
            trusted_lines: lines.parse().ok()?,
        })
    }

    /// The heads of a table's rows.
    pub(crate) const ROWS: [&str; 7] = [
        "kernel that serves the command",
        "host system calls allowed",
        "KVM ioctls allowed",
        "devices emulated by jaula",
        "capabilities in the host",
        "namespaces of its own",
        "jaula's own lines of code behind it",
    ];

    /// What stands beside them.
    pub(crate) fn column(&self) -> [String; 7] {
        let Surface {
            is_kernel_shared,
            allowed_calls,
            kvm_ioctls,
            emulated_devices,
            capabilities,
            namespaces,
        } = &self.surface;
        [
            if *is_kernel_shared {
                "the host's".into()
            } else {
                "its own".into()
            },
            allowed_calls.map_or_else(|| "all".into(), |count| count.to_string()),
            kvm_ioctls.to_string(),
            emulated_devices.to_string(),
            capabilities.to_string(),
            namespaces.to_string(),
            self.trusted_lines.to_string(),
        ]
    }

    /// Who is meant.
    pub(crate) const SENTENCE: &str = "Counts, not a score. In a container it is the command that \
        may do this; behind a VM it is the monitor, once a guest has broken out of its kernel and \
        into that. Libraries and the host's kernel come on top of the lines.";
}
