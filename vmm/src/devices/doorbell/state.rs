use guest_protocol::{Mark, UnknownMark};

use super::Doorbell;
use crate::devices::SavedState;

impl<F> SavedState for Doorbell<F> {
    /// The last mark, as its number.
    type State = Option<u32>;
    type Error = UnknownMark;

    fn save(&mut self) -> Option<u32> {
        self.last.map(|mark| mark as u32)
    }

    fn restore(&mut self, last: Option<u32>) -> Result<(), UnknownMark> {
        self.last = last.map(Mark::try_from).transpose()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vm_device::MutDeviceMmio;
    use vm_device::bus::MmioAddress;

    use super::*;

    #[test]
    fn a_mark_that_was_rung_before_the_save_is_not_rung_after_the_restore() {
        let mut before = Doorbell::new(|_, _| ());
        before.mmio_write(MmioAddress(0), 0, &(Mark::Started as u32).to_le_bytes());
        let mut rung = Vec::new();
        let mut after = Doorbell::new(|mark, _| rung.push(mark));
        after.restore(before.save()).unwrap();
        for mark in [Mark::Init, Mark::Started, Mark::Main] {
            after.mmio_write(MmioAddress(0), 0, &(mark as u32).to_le_bytes());
        }
        assert_eq!(rung, [Mark::Main]);
    }

    #[test]
    fn a_number_that_is_no_mark_is_refused() {
        let mut doorbell = Doorbell::new(|_, _| ());
        assert_eq!(doorbell.restore(Some(99)), Err(UnknownMark(99)));
    }
}
