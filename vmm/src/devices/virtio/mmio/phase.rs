use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_FEATURES_OK,
};

/// How far the driver has come with setting up the device, in the order that virtio 1.2 asks for
/// (section 3.1.1). The bits of the status register follow from it, so no other combination of
/// them exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// No driver.
    Reset,
    /// The guest has noticed the device.
    Acknowledged,
    /// The guest has a driver, which now chooses features.
    Driver,
    /// The features are settled; the driver now sets up queues.
    FeaturesOk,
    /// The device works.
    DriverOk,
}

impl Phase {
    /// The phase that may follow.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Reset => Some(Self::Acknowledged),
            Self::Acknowledged => Some(Self::Driver),
            Self::Driver => Some(Self::FeaturesOk),
            Self::FeaturesOk => Some(Self::DriverOk),
            Self::DriverOk => None,
        }
    }

    /// Whether `status`, as the driver wrote it, has all bits of this phase.
    pub(super) fn is_in(self, status: u32) -> bool {
        status & self.status() == self.status()
    }

    /// The bits of the status register that are set in this phase.
    pub(super) fn status(self) -> u32 {
        let bit = match self {
            Self::Reset => return 0,
            Self::Acknowledged => VIRTIO_CONFIG_S_ACKNOWLEDGE,
            Self::Driver => VIRTIO_CONFIG_S_DRIVER,
            Self::FeaturesOk => VIRTIO_CONFIG_S_FEATURES_OK,
            Self::DriverOk => VIRTIO_CONFIG_S_DRIVER_OK,
        };
        bit | match self {
            Self::Reset | Self::Acknowledged => 0,
            Self::Driver => Self::Acknowledged.status(),
            Self::FeaturesOk => Self::Driver.status(),
            Self::DriverOk => Self::FeaturesOk.status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_adds_its_bit() {
        let phases = std::iter::successors(Some(Phase::Reset), |phase| phase.next());
        let statuses: Vec<_> = phases.map(Phase::status).collect();
        assert_eq!(statuses, [0, 1, 3, 11, 15]);
    }

    #[test]
    fn a_phase_is_not_entered_with_a_bit_missing() {
        assert!(Phase::FeaturesOk.is_in(11));
        assert!(Phase::FeaturesOk.is_in(11 | 128));
        assert!(!Phase::FeaturesOk.is_in(8));
        assert!(!Phase::FeaturesOk.is_in(9));
    }
}
