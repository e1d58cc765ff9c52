//! How many processors a machine has.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A number of processors, 1 to [`VcpuCount::MAX`]. Their numbers, and their APIC IDs, go from 0 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct VcpuCount(u8);

/// No machine has that many processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a machine has 1 to {most} processors, not {count}", most = VcpuCount::MAX)]
pub struct ImpossibleCount {
    count: usize,
}

impl VcpuCount {
    /// The one that every machine has.
    pub const ONE: Self = Self(1);
    /// APIC IDs have 8 bits in an MP table. The highest one means all processors, and the one below
    /// is the IO-APIC's.
    pub const MAX: u8 = 254;

    /// That many.
    ///
    /// # Errors
    ///
    /// When it is none, or above [`VcpuCount::MAX`].
    pub fn new(count: usize) -> Result<Self, ImpossibleCount> {
        match u8::try_from(count) {
            Ok(few @ 1..=Self::MAX) => Ok(Self(few)),
            _ => Err(ImpossibleCount { count }),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number, and APIC ID, of each.
    pub fn ids(self) -> Range<u8> {
        0..self.0
    }

    /// How many bits of an APIC ID tell them apart.
    pub fn id_bits(self) -> u32 {
        u8::BITS - (self.0 - 1).leading_zeros()
    }
}

impl TryFrom<u8> for VcpuCount {
    type Error = ImpossibleCount;

    fn try_from(count: u8) -> Result<Self, ImpossibleCount> {
        Self::new(count.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_some_processors_but_not_more_than_an_mp_table_can_tell_apart() {
        for (count, possible) in [
            (0, false),
            (1, true),
            (254, true),
            (255, false),
            (256, false),
        ] {
            assert_eq!(VcpuCount::new(count).is_ok(), possible, "{count}");
        }
    }

    #[test]
    fn ids_take_as_many_bits_as_the_highest_of_them() {
        for (count, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (254, 8)] {
            assert_eq!(VcpuCount::new(count).unwrap().id_bits(), bits, "{count}");
        }
    }
}
