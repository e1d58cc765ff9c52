//! The parts of a launch, the same for both sides, so that what one does stands beside what the
//! other does at that point.

use launch::{MonotonicNs, Side, Timeline};

use super::language::Said;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    Instance,
    Process,
    Machine,
    Kernel,
    Network,
    Root,
    Command,
    Run,
    End,
}

impl Chapter {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Instance,
        Self::Process,
        Self::Machine,
        Self::Kernel,
        Self::Network,
        Self::Root,
        Self::Command,
        Self::Run,
        Self::End,
    ];

    /// That to which a span of a timeline belongs; `None` for one that this program does not know.
    pub fn of_span(name: &str) -> Option<Self> {
        Some(match name {
            "cgroup" => Self::Instance,
            "clone" | "join" | "spawn" => Self::Process,
            "memory" | "create" | "devices" | "kernel load" | "vcpu" | "restore" | "jail" => {
                Self::Machine
            }
            "kernel boot" | "init" => Self::Kernel,
            "network" => Self::Network,
            "mounts" | "connect" | "root mount" => Self::Root,
            "exec" => Self::Command,
            "run" => Self::Run,
            "teardown" => Self::End,
            _ => return None,
        })
    }

    /// That to which `moment` belongs: what is before the launch to the first one, what is after
    /// it to the last.
    pub fn at(timeline: &Timeline, moment: MonotonicNs) -> Self {
        let mut end = timeline.start();
        let mut last = Self::Instance;
        for span in timeline.spans() {
            end = MonotonicNs(end.0 + span.duration_ns);
            last = Self::of_span(&span.name).unwrap_or(last);
            if moment < end {
                return last;
            }
        }
        Self::End
    }

    /// How long it took, in nanoseconds, if the launch has it.
    pub fn duration_ns(self, timeline: &Timeline) -> Option<u64> {
        let mut durations = timeline
            .spans()
            .iter()
            .filter(|span| Self::of_span(&span.name) == Some(self))
            .map(|span| span.duration_ns)
            .peekable();
        durations.peek()?;
        Some(durations.sum())
    }

    /// Its title.
    pub fn title(self) -> Said {
        let (en, es) = match self {
            Self::Instance => ("The instance", "La instancia"),
            Self::Process => ("The process", "El proceso"),
            Self::Machine => ("The machine", "La máquina"),
            Self::Kernel => ("The kernel", "El núcleo"),
            Self::Network => ("The network", "La red"),
            Self::Root => ("The root file system", "El sistema de ficheros raíz"),
            Self::Command => (
                "The last steps before the command",
                "Los últimos pasos antes de la orden",
            ),
            Self::Run => ("The command runs", "La orden se ejecuta"),
            Self::End => ("The end", "El final"),
        };
        Said { en, es }
    }

    /// What is to be said of it that no system call shows.
    pub fn remark(self, side: Side) -> Option<Said> {
        let (en, es) = match (self, side) {
            (Self::Machine, Side::Container) => (
                "Nothing: the machine is the host.",
                "Nada: la máquina es el anfitrión.",
            ),
            (Self::Kernel, Side::Container) => (
                "Nothing: the kernel is the host's, which runs already.",
                "Nada: el núcleo es el del anfitrión, que ya está en marcha.",
            ),
            (Self::Kernel, Side::Vm) => (
                "The guest's own kernel starts, and then our PID 1 in it. Of all that the host sees only the exits.",
                "Arranca el propio núcleo del huésped, y en él nuestro PID 1. De todo ello el anfitrión solo ve las salidas.",
            ),
            (Self::Root, Side::Vm) => (
                "PID 1 in the guest mounts the disk and makes the same calls as on the left. They are the guest kernel's, so the host does not see them.",
                "El PID 1 del huésped monta el disco y hace las mismas llamadas que a la izquierda. Son del núcleo del huésped, así que el anfitrión no las ve.",
            ),
            (Self::Command, Side::Vm) => (
                "The same steps as on the left, inside the guest.",
                "Los mismos pasos que a la izquierda, dentro del huésped.",
            ),
            (Self::Run, Side::Container) => (
                "The command calls the host's kernel itself, through the filter. It is no longer watched here.",
                "La orden llama ella misma al núcleo del anfitrión, a través del filtro. Aquí ya no se la observa.",
            ),
            (Self::Run, Side::Vm) => (
                "The command calls the guest's kernel. What that wants of the host it asks through devices.",
                "La orden llama al núcleo del huésped. Lo que este quiere del anfitrión lo pide a través de dispositivos.",
            ),
            _ => return None,
        };
        Some(Said { en, es })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        let mut timeline = Timeline::starting(MonotonicNs(100));
        timeline.mark("cgroup", MonotonicNs(110));
        timeline.mark("memory", MonotonicNs(130));
        timeline.mark("create", MonotonicNs(150));
        timeline.mark_main("exec", MonotonicNs(160));
        timeline
    }

    #[test]
    fn a_moment_belongs_to_the_span_that_it_is_in() {
        for (moment, chapter) in [
            (0, Chapter::Instance),
            (100, Chapter::Instance),
            (110, Chapter::Machine),
            (149, Chapter::Machine),
            (150, Chapter::Command),
            (160, Chapter::End),
            (1000, Chapter::End),
        ] {
            let at = Chapter::at(&timeline(), MonotonicNs(moment));
            assert_eq!(at, chapter, "{moment}");
        }
    }

    #[test]
    fn a_chapter_takes_as_long_as_its_spans() {
        assert_eq!(Chapter::Machine.duration_ns(&timeline()), Some(40));
        assert_eq!(Chapter::Kernel.duration_ns(&timeline()), None);
    }
}
