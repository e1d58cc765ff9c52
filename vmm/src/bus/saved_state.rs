use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::devices::{StateBytes, StateError};

/// Where a device begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Location {
    /// An address of memory.
    Mmio(u64),
    /// A port.
    Port(u16),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mmio(address) => write!(f, "address {address:#x}"),
            Self::Port(port) => write!(f, "port {port:#x}"),
        }
    }
}

/// The states of all devices of a machine, each as bytes, by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStates(BTreeMap<Location, Vec<u8>>);

/// A device can't be saved.
#[derive(Debug, thiserror::Error)]
#[error("the device at {location} can't be saved")]
pub struct SaveError {
    location: Location,
    #[source]
    cause: StateError,
}

/// The devices of a machine can't be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A device has no state.
    #[error("there is no state for the device at {0}")]
    NoState(Location),
    /// A state has no device.
    #[error("there is no device at {0} for its state")]
    NoDevice(Location),
    /// A device can't be brought to its state.
    #[error("the device at {location} can't be restored")]
    Device {
        /// Where it is.
        location: Location,
        /// Why it can't.
        #[source]
        cause: StateError,
    },
}

type Device = Arc<Mutex<dyn StateBytes + Send>>;

/// All devices of a bus, in view of their states.
#[derive(Default)]
pub(super) struct Saved(BTreeMap<Location, Device>);

impl Saved {
    /// No two devices are at the same place.
    pub(super) fn attach(&mut self, location: Location, device: Device) {
        self.0.insert(location, device);
    }

    pub(super) fn save(&self) -> Result<DeviceStates, SaveError> {
        self.0
            .iter()
            .map(|(location, device)| match lock(device).save_bytes() {
                Ok(state) => Ok((*location, state)),
                Err(cause) => Err(SaveError {
                    location: *location,
                    cause,
                }),
            })
            .collect::<Result<_, _>>()
            .map(DeviceStates)
    }

    pub(super) fn restore(&self, DeviceStates(states): &DeviceStates) -> Result<(), RestoreError> {
        if let Some(left_over) = states.keys().find(|at| !self.0.contains_key(at)) {
            return Err(RestoreError::NoDevice(*left_over));
        }
        for (location, device) in &self.0 {
            let location = *location;
            let state = states
                .get(&location)
                .ok_or(RestoreError::NoState(location))?;
            lock(device)
                .restore_bytes(state)
                .map_err(|cause| RestoreError::Device { location, cause })?;
        }
        Ok(())
    }

    pub(super) fn resume(&self) {
        for device in self.0.values() {
            lock(device).resume();
        }
    }
}

/// A device that has panicked keeps the state that it had then.
fn lock<'a>(
    device: &'a Mutex<dyn StateBytes + Send + 'static>,
) -> MutexGuard<'a, dyn StateBytes + Send + 'static> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::SavedState;

    /// Its state is a number below 100.
    #[derive(Default)]
    struct Device {
        number: u8,
        resumed: bool,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("too large")]
    struct TooLarge;

    impl SavedState for Device {
        type State = u8;
        type Error = TooLarge;

        fn save(&mut self) -> u8 {
            self.number
        }

        fn restore(&mut self, state: u8) -> Result<(), TooLarge> {
            self.number = state;
            (state < 100).then_some(()).ok_or(TooLarge)
        }

        fn resume(&mut self) {
            self.resumed = true;
        }
    }

    const PLACES: [Location; 3] = [
        Location::Mmio(0x1000),
        Location::Mmio(0x10_0000_0000),
        Location::Port(0x1000),
    ];

    fn devices(numbers: [u8; 3]) -> (Saved, Vec<Arc<Mutex<Device>>>) {
        let mut saved = Saved::default();
        let devices: Vec<_> = numbers
            .map(|number| {
                Arc::new(Mutex::new(Device {
                    number,
                    resumed: false,
                }))
            })
            .into();
        for (location, device) in PLACES.into_iter().zip(&devices) {
            saved.attach(location, device.clone());
        }
        (saved, devices)
    }

    fn numbers(devices: &[Arc<Mutex<Device>>]) -> Vec<u8> {
        let number = |device: &Arc<Mutex<Device>>| device.lock().unwrap().number;
        devices.iter().map(number).collect()
    }

    #[test]
    fn each_device_gets_the_state_of_the_one_at_its_place() {
        let (saved, _) = devices([1, 2, 3]);
        let bytes = postcard::to_stdvec(&saved.save().unwrap()).unwrap();
        let (restored, devices) = devices([0; 3]);
        restored
            .restore(&postcard::from_bytes(&bytes).unwrap())
            .unwrap();
        assert_eq!(numbers(&devices), [1, 2, 3]);
    }

    #[test]
    fn a_device_without_a_state_is_named() {
        let (saved, _) = devices([0; 3]);
        for location in PLACES {
            let mut states = saved.save().unwrap();
            states.0.remove(&location);
            let error = saved.restore(&states).unwrap_err();
            assert!(
                matches!(error, RestoreError::NoState(missing) if missing == location),
                "{error}"
            );
        }
    }

    #[test]
    fn a_state_without_a_device_is_named() {
        let (saved, _) = devices([0; 3]);
        let mut states = saved.save().unwrap();
        states.0.insert(Location::Port(7), vec![0]);
        assert_eq!(
            saved.restore(&states).unwrap_err().to_string(),
            "there is no device at port 0x7 for its state"
        );
    }

    #[test]
    fn a_device_that_refuses_its_state_is_named() {
        let (saved, _) = devices([0; 3]);
        let mut states = saved.save().unwrap();
        states.0.insert(PLACES[1], vec![100]);
        assert_eq!(
            saved.restore(&states).unwrap_err().to_string(),
            "the device at address 0x1000000000 can't be restored"
        );
    }

    #[test]
    fn no_device_goes_on_before_it_is_told() {
        let (saved, devices) = devices([0; 3]);
        let resumed = || devices.iter().all(|device| device.lock().unwrap().resumed);
        saved.restore(&saved.save().unwrap()).unwrap();
        assert!(!resumed());
        saved.resume();
        assert!(resumed());
    }
}
