//! `--device`.

use std::path::PathBuf;
use std::str::FromStr;

use launch::{Device, DeviceAccess, MountPoint};

use super::Invalid;

/// `SRC[:DST[:ACCESS]]` or `SRC:ACCESS`, where ACCESS is of the letters r, w and m.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceArg(pub Device);

impl FromStr for DeviceArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let parts: Vec<_> = given.split(':').collect();
        let (source, target, access) = match parts[..] {
            [source] => (source, source, DeviceAccess::ALL),
            [source, second] => match access(second) {
                Some(access) => (source, source, access),
                None => (source, second, DeviceAccess::ALL),
            },
            [source, target, third] => {
                let access = access(third)
                    .ok_or_else(|| Invalid::new("its access is of the letters r, w and m"))?;
                (source, target, access)
            }
            _ => return Err(Invalid::new("takes SRC[:DST[:rwm]], as in /dev/fuse")),
        };
        if !source.starts_with('/') {
            return Err(Invalid::new(
                "takes the absolute path of a device, as in /dev/fuse",
            ));
        }
        Ok(Self(Device {
            source: PathBuf::from(source),
            target: MountPoint::new(target.as_bytes())?,
            access,
        }))
    }
}

/// Each letter at most once, at least one.
fn access(letters: &str) -> Option<DeviceAccess> {
    let mut access = DeviceAccess {
        read: false,
        write: false,
        make: false,
    };
    for letter in letters.chars() {
        let right = match letter {
            'r' => &mut access.read,
            'w' => &mut access.write,
            'm' => &mut access.make,
            _ => return None,
        };
        if std::mem::replace(right, true) {
            return None;
        }
    }
    (!letters.is_empty()).then_some(access)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_is_read_as_docker_reads_it() {
        for (given, expected) in [
            ("/dev/fuse", Some(("/dev/fuse", "/dev/fuse", "rwm"))),
            ("/dev/fuse:/dev/f", Some(("/dev/fuse", "/dev/f", "rwm"))),
            ("/dev/fuse:/dev/f:r", Some(("/dev/fuse", "/dev/f", "r"))),
            ("/dev/fuse:wr", Some(("/dev/fuse", "/dev/fuse", "rw"))),
            ("/dev/fuse:m", Some(("/dev/fuse", "/dev/fuse", "m"))),
            ("", None),
            ("fuse", None),
            ("/dev/fuse:", None),
            ("/dev/fuse:fuse", None),
            ("/dev/fuse:rr", None),
            ("/dev/fuse:/dev/f:", None),
            ("/dev/fuse:/dev/f:x", None),
            ("/dev/fuse:/dev/../f", None),
            ("/dev/fuse:/dev/f:r:w", None),
        ] {
            let device = given.parse::<DeviceArg>().ok().map(|arg| arg.0);
            let seen = device.as_ref().map(|device| {
                let DeviceAccess { read, write, make } = device.access;
                let letters = [(read, "r"), (write, "w"), (make, "m")];
                let letters = letters.iter().filter(|(has, _)| *has);
                (
                    device.source.to_str().unwrap(),
                    device.target.as_c_str().to_str().unwrap(),
                    letters.map(|(_, letter)| *letter).collect::<String>(),
                )
            });
            let expected = expected.map(|(from, to, access)| (from, to, access.to_owned()));
            assert_eq!(seen, expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given: String) {
            let _ = given.parse::<DeviceArg>();
        }
    }
}
