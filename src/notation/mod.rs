//! docker's notations, each read once into what it means.

mod device;
mod env_file;
mod exposed_port;
mod extra_host;
mod image_filter;
mod label;
mod mount;
mod mount_request;
mod network;
mod pids_limit;
mod port;
mod port_range;
mod security_option;
mod signal;
mod stop;
mod tmpfs;
mod volume;
mod volume_name;

use std::borrow::Cow;

pub use device::DeviceArg;
pub use env_file::{EnvFile, EnvFileError};
pub use exposed_port::{ExposedPortsArg, instance_port};
pub use extra_host::ExtraHostArg;
pub use image_filter::{ImageFilter, fits};
pub use label::Label;
pub use mount::MountArg;
pub use mount_request::{MountRequest, RequestedSource};
pub use network::NetworkArg;
pub use pids_limit::PidsLimitArg;
pub use port::{DEFAULT_ADDRESS, PortsArg};
pub use security_option::{SeccompArg, SecurityOption};
pub use signal::SignalNumber;
pub use stop::StopTimeout;
pub use tmpfs::TmpfsArg;
pub use volume::VolumeArg;
pub use volume_name::VolumeName;

/// What a flag was given is not in its notation: a phrase that says what it takes. The parser of
/// the command line puts the flag and what was given in front of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

impl From<launch::InvalidMountPoint> for Invalid {
    fn from(error: launch::InvalidMountPoint) -> Self {
        Self::new(error.to_string())
    }
}
