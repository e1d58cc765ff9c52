//! The two interfaces through which a program on x86-64 can make system calls, each with numbers
//! of its own.

use syscalls::{x86, x86_64};

/// An interface for system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Architecture {
    /// That of 64-bit programs.
    X86_64,
    /// That of 32-bit programs, which any program can use by `int 0x80`.
    I386,
}

impl Architecture {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::X86_64, Self::I386];

    /// How a filter knows it: `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`, which are `EM_*` of
    /// `elf-em.h`, little-endian, with a bit for 64-bit ones.
    pub(super) const fn audit(self) -> u32 {
        const LITTLE_ENDIAN: u32 = 0x4000_0000;
        const IS_64_BIT: u32 = 0x8000_0000;
        match self {
            Self::X86_64 => 62 | LITTLE_ENDIAN | IS_64_BIT,
            Self::I386 => 3 | LITTLE_ENDIAN,
        }
    }

    /// All its calls, ascending by number.
    pub(super) fn calls(self) -> Box<dyn Iterator<Item = (u32, &'static str)>> {
        // Not by their own iterators, which leave the last one out.
        let numbers = 0..;
        match self {
            Self::X86_64 => Box::new(
                numbers
                    .take(x86_64::Sysno::table_size())
                    .filter_map(x86_64::Sysno::new)
                    .map(|call| (call.id() as u32, call.name())),
            ),
            Self::I386 => Box::new(
                numbers
                    .take(x86::Sysno::table_size())
                    .filter_map(x86::Sysno::new)
                    .map(|call| (call.id() as u32, call.name())),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_kernels_numbers() {
        for (architecture, name, number) in [
            (Architecture::X86_64, "read", 0),
            (Architecture::X86_64, "clone3", 435),
            (Architecture::I386, "read", 3),
            (Architecture::I386, "socketcall", 102),
            (Architecture::I386, "clone3", 435),
        ] {
            let found = architecture.calls().find(|(_, known)| *known == name);
            assert_eq!(found, Some((number, name)), "{architecture:?}");
        }
    }

    #[test]
    fn calls_ascend_to_the_last_one() {
        for architecture in Architecture::ALL {
            let numbers: Vec<_> = architecture.calls().map(|(number, _)| number).collect();
            assert!(numbers.is_sorted());
            assert!(numbers.last() >= Some(&469), "{architecture:?}");
        }
    }
}
