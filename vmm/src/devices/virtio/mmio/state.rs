use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};

use super::phase::Phase;
use super::queue_setup::{QueueSetup, QueueSetupError};
use super::{MmioTransport, acceptable, lock};
use crate::devices::SavedState;
use crate::devices::virtio::{QueuePosition, VirtioDevice, WrongQueueCount};

/// What a transport keeps, and the device behind it.
#[derive(Debug, Serialize, Deserialize)]
pub struct State<S> {
    device_id: u32,
    phase: Phase,
    failed: bool,
    needs_reset: bool,
    /// Why the interrupt was raised, as far as the driver has not acknowledged it.
    reasons: u32,
    device_features_sel: u32,
    driver_features_sel: u32,
    driver_features: u64,
    queue_sel: u32,
    queues: Vec<QueueSetup>,
    /// How far the device has come with each queue; `None` if it serves none.
    positions: Option<Vec<QueuePosition>>,
    config: Vec<u8>,
    config_generation: u32,
    device: S,
}

/// A transport or its device can't be in such a state.
#[derive(Debug, thiserror::Error)]
pub enum InvalidState<E: std::error::Error + 'static> {
    /// It is of another kind of device.
    #[error("a state of virtio device {0}")]
    OtherDevice(u32),
    /// The device has other queues.
    #[error("queues that the device does not have")]
    Queues,
    /// The device offers less.
    #[error("features {0:#x}, which are not offered")]
    Features(u64),
    /// The device has more or fewer registers.
    #[error("a configuration of {0} bytes")]
    ConfigSize(usize),
    /// There is no such reason for an interrupt.
    #[error("an interrupt for reasons {0:#x}")]
    Interrupt(u32),
    /// It serves queues without a driver, or a driver without queues.
    #[error("a device that serves queues and is not ready, or the other way around")]
    Phase,
    /// A queue is not in guest memory.
    #[error(transparent)]
    Queue(#[from] QueueSetupError),
    /// The device has another number of queues.
    #[error(transparent)]
    QueueCount(#[from] WrongQueueCount),
    /// What the device keeps.
    #[error("the device's own state")]
    Device(#[source] E),
}

impl<D: VirtioDevice> SavedState for MmioTransport<D> {
    type State = State<D::State>;
    type Error = InvalidState<D::Error>;

    fn save(&mut self) -> Self::State {
        // Locked throughout: the device's own thread changes reasons and positions.
        let mut device = lock(&self.device);
        State {
            device_id: device.device_id(),
            phase: self.phase,
            failed: self.failed,
            needs_reset: self.interrupt.needs_reset(),
            reasons: self.interrupt.reasons(),
            device_features_sel: self.device_features_sel,
            driver_features_sel: self.driver_features_sel,
            driver_features: self.driver_features,
            queue_sel: self.queue_sel,
            queues: self.queues.clone(),
            positions: device
                .served_queues()
                .map(|queues| queues.iter().map(|queue| queue.position()).collect()),
            config: device.config().to_vec(),
            config_generation: self.config_generation,
            device: device.save(),
        }
    }

    fn restore(&mut self, state: Self::State) -> Result<(), Self::Error> {
        self.check(&state)?;
        self.phase = state.phase;
        self.failed = state.failed;
        self.device_features_sel = state.device_features_sel;
        self.driver_features_sel = state.driver_features_sel;
        self.driver_features = state.driver_features;
        self.queue_sel = state.queue_sel;
        self.queues = state.queues;
        let mut reasons = state.reasons;
        self.config_generation = state.config_generation;
        if lock(&self.device).config() != state.config {
            // What the driver has read of it is not so any more (virtio 1.2, section 4.2.2.1).
            self.config_generation = self.config_generation.wrapping_add(1);
            if self.phase == Phase::DriverOk {
                reasons |= VIRTIO_MMIO_INT_CONFIG;
            }
        }
        self.interrupt.restore(reasons, state.needs_reset);

        let queues = state
            .positions
            .map(|positions| self.queues_at(&positions))
            .transpose()?;
        let mut device = lock(&self.device);
        device.restore(state.device).map_err(InvalidState::Device)?;
        if let Some(queues) = queues {
            device.negotiated(self.driver_features);
            device.activate(queues, self.interrupt.clone())?;
        }
        Ok(())
    }

    fn resume(&mut self) {
        let mut device = lock(&self.device);
        SavedState::resume(&mut *device);
        for slot in device.queues() {
            slot.wake();
        }
        self.interrupt.repeat();
    }
}

impl<D: VirtioDevice> MmioTransport<D> {
    /// Whether a transport of this device can be in such a state.
    fn check(&self, state: &State<D::State>) -> Result<(), InvalidState<D::Error>> {
        let device = lock(&self.device);
        // Something may have been put into a place that was empty, and that no driver has touched.
        let was_empty = state.device_id == 0 && state.phase == Phase::Reset;
        if state.device_id != device.device_id() && !was_empty {
            return Err(InvalidState::OtherDevice(state.device_id));
        }
        if state.config.len() != device.config().len() {
            return Err(InvalidState::ConfigSize(state.config.len()));
        }
        let largest =
            |queues: &[QueueSetup]| -> Vec<_> { queues.iter().map(QueueSetup::max_size).collect() };
        if largest(&state.queues) != largest(&self.queues) {
            return Err(InvalidState::Queues);
        }
        if state.reasons & !(VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG) != 0 {
            return Err(InvalidState::Interrupt(state.reasons));
        }
        let settled = matches!(state.phase, Phase::FeaturesOk | Phase::DriverOk);
        if settled && !acceptable(&*device, state.driver_features) {
            return Err(InvalidState::Features(state.driver_features));
        }
        // A device that is ready serves its queues, or has told the driver to reset it.
        let serves = match &state.positions {
            Some(positions) if positions.len() != self.queues.len() => {
                return Err(InvalidState::Queues);
            }
            positions => positions.is_some(),
        };
        match state.phase {
            Phase::DriverOk if serves || state.needs_reset => Ok(()),
            Phase::DriverOk => Err(InvalidState::Phase),
            _ if serves => Err(InvalidState::Phase),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
