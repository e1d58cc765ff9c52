//! `--mount`.

use std::str::FromStr;

use launch::MountPoint;

use super::tmpfs::{mode_of, size_of};
use super::{Invalid, MountRequest, RequestedSource};

/// `type=bind|volume|tmpfs,src=SRC,dst=DST,...`, a line of comma-separated values: one with a
/// comma in it stands in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountArg(pub MountRequest);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Bind,
    /// docker's default.
    #[default]
    Volume,
    Tmpfs,
}

/// What the fields say, whatever the kind.
#[derive(Default)]
struct Fields {
    kind: Kind,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    no_copy: bool,
    size_bytes: Option<u64>,
    mode: Option<u32>,
}

impl FromStr for MountArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        for field in split(given)? {
            fields.take(&field)?;
        }
        fields.into_request().map(Self)
    }
}

impl Fields {
    fn take(&mut self, field: &str) -> Result<(), Invalid> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        match (key, value) {
            ("type", Some("bind")) => self.kind = Kind::Bind,
            ("type", Some("volume")) => self.kind = Kind::Volume,
            ("type", Some("tmpfs")) => self.kind = Kind::Tmpfs,
            ("type", _) => return Err(Invalid::new("its type is bind, volume or tmpfs")),
            ("source" | "src", Some(source)) => self.source = Some(source.to_owned()),
            ("target" | "dst" | "destination", Some(target)) => {
                self.target = Some(target.to_owned());
            }
            ("readonly" | "ro", value) => self.read_only = truth(key, value)?,
            ("volume-nocopy", value) => self.no_copy = truth(key, value)?,
            ("tmpfs-size", Some(size)) => self.size_bytes = Some(size_of(size)?),
            ("tmpfs-mode", Some(mode)) => self.mode = Some(mode_of(mode)?),
            // What mounts do here anyway, and what docker heeds on another system only.
            ("bind-propagation", Some("private" | "rprivate")) => {}
            ("consistency", Some(_)) => {}
            _ => {
                return Err(Invalid::new(format!(
                    "{field:?} is none of type=bind|volume|tmpfs, src=SRC, dst=DST, readonly, \
                     volume-nocopy, tmpfs-size=SIZE, tmpfs-mode=MODE"
                )));
            }
        }
        Ok(())
    }

    fn into_request(self) -> Result<MountRequest, Invalid> {
        let target = self
            .target
            .ok_or_else(|| Invalid::new("needs dst=DST, as in type=bind,src=/srv,dst=/data"))?;
        let only_for = |given: bool, field: &str, kind: &str| match given {
            true => Err(Invalid::new(format!("{field} is for type={kind}"))),
            false => Ok(()),
        };
        if self.kind != Kind::Volume {
            only_for(self.no_copy, "volume-nocopy", "volume")?;
        }
        if self.kind != Kind::Tmpfs {
            only_for(self.size_bytes.is_some(), "tmpfs-size", "tmpfs")?;
            only_for(self.mode.is_some(), "tmpfs-mode", "tmpfs")?;
        }
        let source = match (self.kind, self.source) {
            (Kind::Bind, Some(path)) if path.starts_with(['/', '.']) => RequestedSource::Host {
                path: path.into(),
                make: false,
            },
            (Kind::Bind, _) => {
                return Err(Invalid::new(
                    "type=bind needs src=SRC, a path that begins with / or ./",
                ));
            }
            (Kind::Volume, None) => RequestedSource::Anonymous,
            (Kind::Volume, Some(name)) => RequestedSource::Volume {
                name: name.parse()?,
                copy: !self.no_copy,
            },
            (Kind::Tmpfs, Some(_)) => return Err(Invalid::new("type=tmpfs takes no src")),
            (Kind::Tmpfs, None) => match RequestedSource::TMPFS {
                RequestedSource::Tmpfs {
                    mode, executable, ..
                } => RequestedSource::Tmpfs {
                    size_bytes: self.size_bytes,
                    mode: self.mode.unwrap_or(mode),
                    executable,
                },
                other => other,
            },
        };
        Ok(MountRequest {
            source,
            target: MountPoint::new(target.as_bytes())?,
            read_only: self.read_only,
        })
    }
}

/// What Go's `strconv.ParseBool` takes; a key alone is true.
fn truth(key: &str, value: Option<&str>) -> Result<bool, Invalid> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(Invalid::new(format!("{key} takes true or false"))),
    }
}

/// The fields of a line of comma-separated values (RFC 4180, section 2, 5 to 7).
fn split(line: &str) -> Result<Vec<String>, Invalid> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let field;
        (field, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(fields),
            None => return Err(Invalid::new("behind a closing quote stands a comma")),
        }
    }
}

/// What stands up to the closing quote, and what follows that.
fn unquote(quoted: &str) -> Result<(String, &str), Invalid> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let (part, next) = rest
            .split_once('"')
            .ok_or_else(|| Invalid::new("a quote is not closed"))?;
        field.push_str(part);
        match next.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mount(given: &str) -> Result<(RequestedSource, bool), String> {
        let MountArg(request) = given.parse().map_err(|error: Invalid| error.to_string())?;
        assert_eq!(request.target.as_c_str(), c"/d");
        Ok((request.source, request.read_only))
    }

    #[test]
    fn a_mount_is_read_as_docker_reads_it() {
        let bind = |path: &str| RequestedSource::Host {
            path: path.into(),
            make: false,
        };
        let named = |copy| RequestedSource::Volume {
            name: "data".parse().unwrap(),
            copy,
        };
        let tmpfs = |size_bytes, mode| RequestedSource::Tmpfs {
            size_bytes,
            mode,
            executable: false,
        };
        for (given, expected) in [
            ("type=bind,src=/s,dst=/d", (bind("/s"), false)),
            (
                "type=bind,source=./s,target=/d,readonly",
                (bind("./s"), true),
            ),
            ("destination=/d,ro=1,src=/s,type=bind", (bind("/s"), true)),
            ("type=bind,src=/s,dst=/d,ro=false", (bind("/s"), false)),
            (
                "type=bind,\"src=/a,b\"\"c\",dst=/d",
                (bind("/a,b\"c"), false),
            ),
            (
                "type=bind,src=/s,dst=/d,bind-propagation=rprivate,consistency=cached",
                (bind("/s"), false),
            ),
            ("dst=/d", (RequestedSource::Anonymous, false)),
            ("type=volume,dst=/d", (RequestedSource::Anonymous, false)),
            ("src=data,dst=/d", (named(true), false)),
            ("src=data,dst=/d,volume-nocopy", (named(false), false)),
            ("type=tmpfs,dst=/d", (tmpfs(None, 0o1777), false)),
            (
                "type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=755",
                (tmpfs(Some(1 << 20), 0o755), false),
            ),
        ] {
            assert_eq!(mount(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_mount_is_refused_with_what_it_takes() {
        for (given, says) in [
            ("", "is none of"),
            ("type=nfs,dst=/d", "bind, volume or tmpfs"),
            ("type=bind,src=/s", "needs dst"),
            ("type=bind,dst=/d", "needs src"),
            ("type=bind,src=s,dst=/d", "needs src"),
            ("type=bind,src=/s,dst=d", "absolute path"),
            ("type=volume,src=/s,dst=/d", "volume's name"),
            ("type=tmpfs,src=/s,dst=/d", "no src"),
            ("type=bind,src=/s,dst=/d,volume-nocopy", "for type=volume"),
            ("type=bind,src=/s,dst=/d,tmpfs-size=1m", "for type=tmpfs"),
            (
                "type=bind,src=/s,dst=/d,bind-propagation=shared",
                "is none of",
            ),
            ("type=bind,src=/s,dst=/d,readonly=maybe", "true or false"),
            ("type=bind,src=/s,dst=/d,", "is none of"),
            ("dst", "is none of"),
            ("\"dst=/d", "not closed"),
            ("\"dst=/d\"x", "a comma"),
        ] {
            let said = mount(given).unwrap_err();
            assert!(said.contains(says), "{given}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given in "\\PC*|[a/=,\"]*") {
            let _ = given.parse::<MountArg>();
        }

        #[test]
        fn a_quoted_field_is_read_back(field in "\\PC*") {
            let quoted = format!("\"{}\",x", field.replace('"', "\"\""));
            prop_assert_eq!(split(&quoted).unwrap(), [field, "x".to_owned()]);
        }
    }
}
