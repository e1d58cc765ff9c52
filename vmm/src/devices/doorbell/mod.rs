//! The doorbell: one page that PID 1 of the guest stores a [`Mark`] in.

mod state;

use guest_protocol::Mark;
use launch::MonotonicNs;
use vm_device::MutDeviceMmio;
use vm_device::bus::{MmioAddress, MmioAddressOffset};

/// Stamps each mark with the host's clock and passes it on, once, in rising order. So a guest
/// can't take back or repeat what it has said.
pub struct Doorbell<F> {
    last: Option<Mark>,
    on_mark: F,
}

impl<F: FnMut(Mark, MonotonicNs) + Send> Doorbell<F> {
    /// A doorbell that nobody has rung. `on_mark` is called on the vCPU's thread and must not
    /// block.
    pub fn new(on_mark: F) -> Self {
        Self {
            last: None,
            on_mark,
        }
    }
}

impl<F: FnMut(Mark, MonotonicNs) + Send> MutDeviceMmio for Doorbell<F> {
    fn mmio_read(&mut self, _base: MmioAddress, _offset: MmioAddressOffset, data: &mut [u8]) {
        data.fill(0);
    }

    fn mmio_write(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &[u8]) {
        // First of all: this moment is what a launch is measured by.
        let now = MonotonicNs::now();
        let mark = match (offset, <[u8; 4]>::try_from(data)) {
            (0, Ok(bytes)) => Mark::try_from(u32::from_le_bytes(bytes)),
            _ => {
                tracing::debug!(
                    "{} bytes written at {offset:#x} of the doorbell",
                    data.len()
                );
                return;
            }
        };
        match mark {
            Ok(mark) if self.last.is_none_or(|last| (last as u32) < mark as u32) => {
                self.last = Some(mark);
                (self.on_mark)(mark, now);
            }
            Ok(mark) => tracing::debug!("{mark:?} again, or too late"),
            Err(unknown) => tracing::debug!("{unknown}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes each (offset, data) and returns the marks that came through.
    fn ring(writes: &[(u64, Vec<u8>)]) -> Vec<(Mark, MonotonicNs)> {
        let mut marks = Vec::new();
        let mut doorbell = Doorbell::new(|mark, at| marks.push((mark, at)));
        for (offset, data) in writes {
            doorbell.mmio_write(MmioAddress(0), *offset, data);
        }
        marks
    }

    fn number(n: u32) -> (u64, Vec<u8>) {
        (0, n.to_le_bytes().to_vec())
    }

    #[test]
    fn marks_are_stamped_in_the_order_in_which_they_come() {
        let before = MonotonicNs::now();
        let marks = ring(&[1, 2, 3, 4, 5, 6].map(number));
        let after = MonotonicNs::now();
        let (marks, times): (Vec<_>, Vec<_>) = marks.into_iter().unzip();
        assert_eq!(marks, Mark::ALL);
        assert!(times.is_sorted());
        assert!(before <= times[0] && times[5] <= after);
    }

    #[test]
    fn a_mark_counts_once_and_never_after_a_later_one() {
        let marks = ring(&[2, 2, 1, 4, 3].map(number));
        let marks: Vec<_> = marks.into_iter().map(|(mark, _)| mark).collect();
        assert_eq!(marks, [Mark::Ready, Mark::Root]);
    }

    #[test]
    fn only_a_whole_number_at_the_start_of_the_page_rings() {
        let wide = (0, 1u64.to_le_bytes().to_vec());
        let elsewhere = (4, 1u32.to_le_bytes().to_vec());
        assert_eq!(
            ring(&[wide, elsewhere, (0, vec![1]), (0, vec![]), number(9)]),
            []
        );
    }

    proptest! {
        #[test]
        fn no_write_makes_it_ring_more_often_than_there_are_marks(
            writes in prop::collection::vec((0u64..8, prop::collection::vec(0u8..7, 0..9)), 0..64),
        ) {
            prop_assert!(ring(&writes).len() <= Mark::ALL.len());
        }
    }
}
