//! The kernel's settings of the calling thread's network namespace.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::Error;

/// Makes `setting`, a path below `/proc/sys/net`, have `value`; writes nothing if it has.
pub(crate) fn set(setting: &str, value: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys/net").join(setting);
    let error = |source| Error::Setting {
        path: path.clone(),
        source,
    };
    let is = fs::read_to_string(&path).map_err(error)?;
    if is.split_whitespace().eq(value.split_whitespace()) {
        return Ok(());
    }
    fs::write(&path, value).map_err(error)
}

/// The same of a setting of IPv6, which the kernel may be without.
pub(crate) fn set_ipv6(setting: &str, value: &str) -> Result<(), Error> {
    match set(&format!("ipv6/{setting}"), value) {
        Err(Error::Setting { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
