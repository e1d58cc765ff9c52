use std::error::Error;
use std::io;

use super::{BrokenQueue, DeviceQueue, Interrupt, QueueSlot, Served, WrongQueueCount};

/// The queues of a device: as it offers them, and as it serves them while a driver uses it.
pub struct Slots<const N: usize> {
    offered: [QueueSlot; N],
    served: Option<InUse<N>>,
}

/// What a device has while a driver uses it.
struct InUse<const N: usize> {
    queues: [DeviceQueue; N],
    interrupt: Interrupt,
}

/// A queue was broken: the driver was told, and none is served any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl<const N: usize> Slots<N> {
    /// Queues of at most this size, a power of two, which nobody uses.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new(max_size: u16) -> io::Result<Self> {
        let offered = (0..N)
            .map(|_| QueueSlot::new(max_size))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            // There are as many.
            offered: offered.try_into().map_err(|_| io::ErrorKind::Other)?,
            served: None,
        })
    }

    /// As the device offers them, in the order of their numbers.
    pub fn offered(&self) -> &[QueueSlot; N] {
        &self.offered
    }

    /// From now on these are served.
    ///
    /// # Errors
    ///
    /// When it is not one for each that is offered.
    pub fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        let queues = <[_; N]>::try_from(queues).map_err(|all| WrongQueueCount(all.len()))?;
        self.served = Some(InUse { queues, interrupt });
        Ok(())
    }

    /// Those that are served, in the order of their numbers.
    pub fn served(&self) -> Option<Vec<&DeviceQueue>> {
        Some(self.served.as_ref()?.queues.iter().collect())
    }

    /// From now on none is served.
    pub fn reset(&mut self) {
        self.served = None;
    }

    /// Lets `serve` do what there is to do in each queue that is served, whose number it gets. The
    /// driver is interrupted once, if it wants that, and the device woken again for what is
    /// unfinished.
    ///
    /// # Errors
    ///
    /// When the driver has broken a queue, of which is told as of one of `device`.
    pub fn serve(
        &mut self,
        device: &str,
        mut serve: impl FnMut(usize, &mut DeviceQueue, &Interrupt) -> Result<Served, BrokenQueue>,
    ) -> Result<(), Stopped> {
        let Some(InUse { queues, interrupt }) = &mut self.served else {
            return Ok(());
        };
        let mut wants_interrupt = false;
        for (number, (queue, slot)) in queues.iter_mut().zip(&self.offered).enumerate() {
            match serve(number, queue, interrupt) {
                Ok(served) => {
                    wants_interrupt |= served.wants_interrupt;
                    if served.unfinished {
                        slot.wake();
                    }
                }
                Err(error) => {
                    tracing::warn!("{device}: {error}: {:?}", error.source());
                    interrupt.demand_reset();
                    self.served = None;
                    return Err(Stopped);
                }
            }
        }
        if wants_interrupt {
            interrupt.signal_used();
        }
        Ok(())
    }
}
