//! `--tmpfs`.

use std::str::FromStr;

use launch::{ByteSize, MountPoint};

use super::{Invalid, MountRequest, RequestedSource};

/// `DST[:OPTION,...]` with the options of `tmpfs(5)` that an instance can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmpfsArg(pub MountRequest);

impl FromStr for TmpfsArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (target, options) = given.split_once(':').unwrap_or((given, ""));
        let mut read_only = false;
        let mut tmpfs = RequestedSource::TMPFS;
        if let RequestedSource::Tmpfs {
            size_bytes,
            mode,
            executable,
        } = &mut tmpfs
        {
            for option in options.split(',').filter(|option| !option.is_empty()) {
                match option.split_once('=').unwrap_or((option, "")) {
                    ("size", size) => *size_bytes = Some(size_of(size)?),
                    ("mode", text) => *mode = mode_of(text)?,
                    ("exec", "") => *executable = true,
                    ("noexec", "") => *executable = false,
                    ("ro", "") => read_only = true,
                    ("rw", "") => read_only = false,
                    // It is mounted so in any case.
                    ("nosuid" | "nodev", "") => {}
                    _ => {
                        return Err(Invalid::new(format!(
                            "{option:?} is none of size=SIZE, mode=MODE, exec, noexec, ro, rw, \
                             nosuid, nodev"
                        )));
                    }
                }
            }
        }
        Ok(Self(MountRequest {
            source: tmpfs,
            target: MountPoint::new(target.as_bytes())?,
            read_only,
        }))
    }
}

/// A size that limits something: to tmpfs(5), 0 is no limit.
pub(super) fn size_of(text: &str) -> Result<u64, Invalid> {
    match text.parse() {
        Ok(ByteSize(size)) if size > 0 => Ok(size),
        _ => Err(Invalid::new(
            "its size takes a whole number and a unit, as in 64m",
        )),
    }
}

/// Permission bits in octal digits.
pub(super) fn mode_of(text: &str) -> Result<u32, Invalid> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777 && !text.starts_with('+'))
        .ok_or_else(|| Invalid::new("its mode takes octal digits, as in 1777"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tmpfs(given: &str) -> Result<(Option<u64>, u32, bool, bool), String> {
        let TmpfsArg(request) = given.parse().map_err(|error: Invalid| error.to_string())?;
        match request.source {
            RequestedSource::Tmpfs {
                size_bytes,
                mode,
                executable,
            } => Ok((size_bytes, mode, executable, request.read_only)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_those_of_tmpfs() {
        for (given, expected) in [
            ("/t", (None, 0o1777, false, false)),
            ("/t:", (None, 0o1777, false, false)),
            ("/t:size=64m", (Some(64 << 20), 0o1777, false, false)),
            (
                "/t:size=65536k,mode=700",
                (Some(64 << 20), 0o700, false, false),
            ),
            ("/t:rw,noexec,nosuid,nodev", (None, 0o1777, false, false)),
            ("/t:exec,ro,size=1", (Some(1), 0o1777, true, true)),
        ] {
            assert_eq!(tmpfs(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused_by_its_name() {
        for (given, says) in [
            ("", "absolute path"),
            ("t", "absolute path"),
            ("/", "whole root"),
            ("/t:size=0", "its size"),
            ("/t:size=50%", "its size"),
            ("/t:size=", "its size"),
            ("/t:size=99999999999g", "its size"),
            ("/t:mode=8", "its mode"),
            ("/t:mode=+7", "its mode"),
            ("/t:mode=17777", "its mode"),
            ("/t:uid=5", "\"uid=5\""),
            ("/t:suid", "\"suid\""),
            ("/t:exec=1", "\"exec=1\""),
        ] {
            let said = tmpfs(given).unwrap_err();
            assert!(said.contains(says), "{given}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given in "\\PC*|/t:\\PC*|/t:size=\\PC*") {
            let _ = given.parse::<TmpfsArg>();
        }
    }
}
