//! The part of the kernel that runs a filter: enough of it for the programs that are made here
//! (`seccomp_run_filters` and `net/core/filter.c`).

use entry::Filter;

use super::architecture::Architecture;

pub(super) const ALLOW: u32 = 0x7FFF_0000;
pub(super) const KILL: u32 = 0x8000_0000;
pub(super) const EPERM: u32 = 0x0005_0000 | libc::EPERM as u32;
pub(super) const ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// `struct seccomp_data`, by words of 32 bits.
#[derive(Clone, Debug)]
pub(super) struct Call([u32; 16]);

impl Call {
    pub(super) fn numbered(architecture: Architecture, number: u32) -> Self {
        let mut words = [0; 16];
        words[0] = number;
        words[1] = architecture.audit();
        Self(words)
    }

    pub(super) fn named(architecture: Architecture, name: &str) -> Self {
        let call = architecture.calls().find(|(_, known)| *known == name);
        let (number, _) = call.unwrap_or_else(|| panic!("{architecture:?} has no {name}"));
        Self::numbered(architecture, number)
    }

    pub(super) fn of_architecture(mut self, audit: u32) -> Self {
        self.0[1] = audit;
        self
    }

    pub(super) fn with_argument(mut self, index: usize, value: u64) -> Self {
        self.0[4 + 2 * index] = value as u32;
        self.0[5 + 2 * index] = (value >> 32) as u32;
        self
    }
}

/// What the filter says of a call.
pub(super) fn run(filter: &Filter, call: &Call) -> u32 {
    let program = filter.instructions();
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let instruction = program[at];
        let k = instruction.k;
        at += 1;
        let mut branch = |taken: bool| {
            at += usize::from(if taken {
                instruction.jt
            } else {
                instruction.jf
            });
        };
        match instruction.code {
            0x20 => accumulator = call.0[k as usize / 4],
            0x05 => at += k as usize,
            0x15 => branch(accumulator == k),
            0x25 => branch(accumulator > k),
            0x35 => branch(accumulator >= k),
            0x54 => accumulator &= k,
            0x06 => return k,
            code => panic!("instruction {code:#x}"),
        }
    }
}
