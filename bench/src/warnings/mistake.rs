/// One of the mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `W01` to `W16`.
    pub id: &'static str,
    /// What is done wrong.
    pub name: &'static str,
    /// Why it misleads, in one line.
    pub explanation: &'static str,
}

/// All of them. Some can't happen here, which the book tells of; the others are raised.
pub const MISTAKES: [Mistake; 16] = [
    Mistake {
        id: "W01",
        name: "no stated beginning",
        explanation: "a start that is timed from an API call lacks what one from the execution of a program has",
    },
    Mistake {
        id: "W02",
        name: "an engine's time blamed on the runtime",
        explanation: "a daemon in between takes longer than what it calls",
    },
    Mistake {
        id: "W03",
        name: "a guest's clock",
        explanation: "it starts when the guest does, so the time before that is missing, and it may run at another rate",
    },
    Mistake {
        id: "W04",
        name: "mapped, resident and charged memory mixed",
        explanation: "each is another figure, and they differ by tens of times",
    },
    Mistake {
        id: "W05",
        name: "different sets of processes",
        explanation: "a monitor, a shim or a helper that is left out is a cost that is left out",
    },
    Mistake {
        id: "W06",
        name: "no distribution",
        explanation: "a middle alone hides how far runs lie apart, and a few runs show nothing",
    },
    Mistake {
        id: "W07",
        name: "order",
        explanation: "what drifts while all runs of one come before all of another is taken for a difference",
    },
    Mistake {
        id: "W08",
        name: "warm and cold mixed",
        explanation: "the first run reads from the disk what the others find in memory",
    },
    Mistake {
        id: "W09",
        name: "a shell inside the timing",
        explanation: "it takes as long to start as what it starts",
    },
    Mistake {
        id: "W10",
        name: "lifetime reported as startup",
        explanation: "what the command itself does is in the time, and it is the same on both sides",
    },
    Mistake {
        id: "W11",
        name: "the host's page cache as a VM's disk",
        explanation: "a disk that is a file of the host's is as fast as the host's memory",
    },
    Mistake {
        id: "W12",
        name: "unequal CPUs or limits",
        explanation: "without a limit each side has what it has by default, which is not the same",
    },
    Mistake {
        id: "W13",
        name: "a control that was not applied",
        explanation: "what one side does without is a cost that it does not have",
    },
    Mistake {
        id: "W14",
        name: "a nested or shared host",
        explanation: "what others do on it, and what a hypervisor below it does, is in every figure",
    },
    Mistake {
        id: "W15",
        name: "a restore in a column of cold boots",
        explanation: "going on from a saved machine is no boot",
    },
    Mistake {
        id: "W16",
        name: "the first one charged for shared page cache",
        explanation: "files are charged to whoever reads them first, and the next one has them for nothing",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_numbered_in_order() {
        for (index, mistake) in MISTAKES.iter().enumerate() {
            assert_eq!(mistake.id, format!("W{:02}", index + 1));
        }
    }
}
