//! `--volume`.

use std::str::FromStr;

use launch::MountPoint;

use super::{Invalid, MountRequest, RequestedSource};

/// `[SRC:]DST[:OPTION,...]`, where SRC is a path of the host that begins with `/` or `.`, or the
/// name of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeArg(pub MountRequest);

impl FromStr for VolumeArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let parts: Vec<_> = given.split(':').collect();
        let (source, target, options) = match parts[..] {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, options] => (Some(source), target, options),
            _ => {
                return Err(Invalid::new(
                    "takes SRC:DST[:ro], as in ./site:/www; a path with : needs --mount",
                ));
            }
        };
        let mut read_only = false;
        let mut copy = true;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read_only = true,
                "rw" => read_only = false,
                "nocopy" => copy = false,
                // Labels of SELinux, which confine nothing of ours; what mounts do here anyway;
                // and what docker takes on all systems and heeds on one.
                "z" | "Z" | "private" | "rprivate" | "cached" | "delegated" | "consistent" => {}
                _ => {
                    return Err(Invalid::new(format!(
                        "{option:?} is none of ro, rw, nocopy, z, Z, private, rprivate"
                    )));
                }
            }
        }
        Ok(Self(MountRequest {
            source: match source {
                None => RequestedSource::Anonymous,
                Some(path) if path.starts_with(['/', '.']) => RequestedSource::Host {
                    path: path.into(),
                    make: true,
                },
                Some(name) => RequestedSource::Volume {
                    name: name.parse()?,
                    copy,
                },
            },
            target: MountPoint::new(target.as_bytes())?,
            read_only,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn volume(given: &str) -> Result<(RequestedSource, bool), String> {
        let VolumeArg(request) = given.parse().map_err(|error: Invalid| error.to_string())?;
        assert_eq!(request.target.as_c_str(), c"/d");
        Ok((request.source, request.read_only))
    }

    #[test]
    fn a_volume_is_read_as_docker_reads_it() {
        let host = |path: &str| RequestedSource::Host {
            path: path.into(),
            make: true,
        };
        let named = |name: &str, copy| RequestedSource::Volume {
            name: name.parse().unwrap(),
            copy,
        };
        for (given, expected) in [
            ("/d", (RequestedSource::Anonymous, false)),
            ("/s:/d", (host("/s"), false)),
            ("./s:/d:ro", (host("./s"), true)),
            ("../s:/d:rw", (host("../s"), false)),
            (".:/d", (host("."), false)),
            ("/s:/d:ro,z", (host("/s"), true)),
            ("/s:/d:Z,rprivate", (host("/s"), false)),
            ("data:/d", (named("data", true), false)),
            ("data:/d:ro,nocopy", (named("data", false), true)),
        ] {
            assert_eq!(volume(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_volume_is_refused_with_what_it_takes() {
        for (given, says) in [
            ("", "absolute path"),
            ("d", "absolute path"),
            ("/s:d", "absolute path"),
            ("/s:/", "whole root"),
            (":/d", "volume's name"),
            ("a/b:/d", "volume's name"),
            ("~/s:/d", "volume's name"),
            ("/s:/d:rx", "\"rx\""),
            ("/s:/d:rshared", "\"rshared\""),
            ("/s:/d:ro:rw", "needs --mount"),
        ] {
            let said = volume(given).unwrap_err();
            assert!(said.contains(says), "{given}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given in "\\PC*|[a/.:,rowz]*") {
            let _ = given.parse::<VolumeArg>();
        }
    }
}
