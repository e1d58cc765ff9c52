/// Guest-physical address of the doorbell page, in the hole below 4 GiB where no memory is.
pub const DOORBELL_GPA: u64 = 0xd000_0000;

/// Size of the doorbell, in bytes: one page, the least that can be mapped.
pub const DOORBELL_BYTES: u64 = 4096;

/// What PID 1 stores, as a 32-bit number, at the start of the doorbell page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mark {
    /// PID 1 runs: the kernel has booted.
    Init = 1,
    /// PID 1 has done all that depends neither on the workload nor on its image, and has said
    /// nothing to the host yet: a machine that is saved here can become any workload's.
    Ready = 2,
    /// PID 1 has been told what to run.
    Started = 3,
    /// The root file system is mounted.
    Root = 4,
    /// The next system call is the command's `execve`.
    Main = 5,
    /// The command was executed. It is not rung if it could not be.
    Executed = 6,
}

impl Mark {
    /// All of them, in the order in which they are rung.
    pub const ALL: [Self; 6] = [
        Self::Init,
        Self::Ready,
        Self::Started,
        Self::Root,
        Self::Main,
        Self::Executed,
    ];
}

/// A number that is no [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the doorbell was rung with {0}, which means nothing")]
pub struct UnknownMark(pub u32);

impl TryFrom<u32> for Mark {
    type Error = UnknownMark;

    fn try_from(number: u32) -> Result<Self, UnknownMark> {
        Self::ALL
            .into_iter()
            .find(|mark| *mark as u32 == number)
            .ok_or(UnknownMark(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_read_back_and_nothing_else_is() {
        for mark in Mark::ALL {
            assert_eq!(Mark::try_from(mark as u32), Ok(mark));
        }
        for number in [0, 7, u32::MAX] {
            assert_eq!(Mark::try_from(number), Err(UnknownMark(number)));
        }
    }
}
