use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};
use vmm_sys_util::eventfd::EventFd;

/// A device's interrupt line, with the register that tells the driver why it was raised.
///
/// Shared by the device, which raises it, and the transport, which shows and clears it; no lock
/// is taken by either.
#[derive(Clone)]
pub struct Interrupt {
    line: Arc<Line>,
}

struct Line {
    reasons: AtomicU32,
    needs_reset: AtomicBool,
    irqfd: EventFd,
}

impl Interrupt {
    /// An interrupt that was not raised, on the line behind `irqfd`.
    pub fn new(irqfd: EventFd) -> Self {
        Self {
            line: Arc::new(Line {
                reasons: AtomicU32::new(0),
                needs_reset: AtomicBool::new(false),
                irqfd,
            }),
        }
    }

    /// Tells the driver that the device has used buffers.
    pub fn signal_used(&self) {
        self.raise(VIRTIO_MMIO_INT_VRING);
    }

    /// Tells the driver that nothing goes on before it resets the device (DEVICE_NEEDS_RESET,
    /// virtio 1.2, section 2.1.2).
    pub fn demand_reset(&self) {
        self.line.needs_reset.store(true, Ordering::SeqCst);
        self.raise(VIRTIO_MMIO_INT_CONFIG);
    }

    fn raise(&self, reason: u32) {
        // Before the line: the driver that is interrupted reads it at once.
        self.line.reasons.fetch_or(reason, Ordering::SeqCst);
        self.signal();
    }

    fn signal(&self) {
        // The counter of an eventfd that nobody reads is full only after 2^64 signals.
        if let Err(error) = self.line.irqfd.write(1) {
            tracing::error!("an interrupt was lost: {error}");
        }
    }

    pub(super) fn reasons(&self) -> u32 {
        self.line.reasons.load(Ordering::SeqCst)
    }

    pub(super) fn acknowledge(&self, reasons: u32) {
        self.line.reasons.fetch_and(!reasons, Ordering::SeqCst);
    }

    pub(super) fn needs_reset(&self) -> bool {
        self.line.needs_reset.load(Ordering::SeqCst)
    }

    /// As it was saved. The line is not raised: see [`Interrupt::repeat`].
    pub(super) fn restore(&self, reasons: u32, needs_reset: bool) {
        self.line.needs_reset.store(needs_reset, Ordering::SeqCst);
        self.line.reasons.store(reasons, Ordering::SeqCst);
    }

    /// Raises the line again if the driver has not acknowledged all reasons. Once too often does
    /// no harm: the driver finds no reason.
    pub(super) fn repeat(&self) {
        if self.reasons() != 0 {
            self.signal();
        }
    }

    /// As after a reset of the device.
    pub(super) fn clear(&self) {
        self.line.needs_reset.store(false, Ordering::SeqCst);
        self.line.reasons.store(0, Ordering::SeqCst);
    }
}
