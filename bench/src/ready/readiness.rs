use std::str::FromStr;

use regex::bytes::Regex;

/// What shows that a workload is ready.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// It takes a TCP connection at this port.
    Tcp(u16),
    /// It answers a `GET` with status 200.
    Http {
        /// At this port.
        port: u16,
        /// For this path, with a slash first.
        path: String,
    },
    /// It writes a line to standard output or standard error that this matches.
    Line(Regex),
}

impl Readiness {
    /// Whether it is asked over the network.
    pub fn needs_network(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Http { .. })
    }
}

/// Not what readiness can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReadiness {
    /// It begins in another way.
    #[error("{0:?} is none of tcp:PORT, http:PORT/PATH and log:PATTERN")]
    Kind(String),
    /// The port is none.
    #[error("{0:?} is no port: it takes a number from 1 to 65535")]
    Port(String),
    /// The path can't be asked for.
    #[error("{0:?} is no path of a URL")]
    Path(String),
    /// The pattern is none.
    #[error("not a pattern: {0}")]
    Pattern(String),
}

impl FromStr for Readiness {
    type Err = InvalidReadiness;

    fn from_str(text: &str) -> Result<Self, InvalidReadiness> {
        let unknown = || InvalidReadiness::Kind(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "tcp" => Ok(Self::Tcp(port(rest)?)),
            "http" => {
                let slash = rest.find('/').unwrap_or(rest.len());
                let (number, path) = rest.split_at(slash);
                // It becomes a line of a request.
                if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(InvalidReadiness::Path(path.to_owned()));
                }
                let path = match path {
                    "" => "/",
                    path => path,
                };
                Ok(Self::Http {
                    port: port(number)?,
                    path: path.to_owned(),
                })
            }
            "log" => match Regex::new(rest) {
                Ok(pattern) => Ok(Self::Line(pattern)),
                Err(error) => {
                    let error = error.to_string();
                    let reason = error.lines().last().unwrap_or_default();
                    Err(InvalidReadiness::Pattern(reason.to_owned()))
                }
            },
            _ => Err(unknown()),
        }
    }
}

fn port(text: &str) -> Result<u16, InvalidReadiness> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(InvalidReadiness::Port(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_and_what_is_none_refused() {
        for (text, expected) in [
            ("tcp:80", "Tcp(80)"),
            ("http:8080", r#"Http { port: 8080, path: "/" }"#),
            ("http:8080/a?b=c", r#"Http { port: 8080, path: "/a?b=c" }"#),
            ("log:^ready: [0-9]+", r#"Line(Regex("^ready: [0-9]+"))"#),
            ("udp:80", r#"Kind("udp:80")"#),
            ("80", r#"Kind("80")"#),
            ("tcp:0", r#"Port("0")"#),
            ("tcp:65536", r#"Port("65536")"#),
            ("http:/x", r#"Port("")"#),
            ("http:80/a b", r#"Path("/a b")"#),
            ("http:80/a\r\nHost: x", r#"Path("/a\r\nHost: x")"#),
            ("log:(", r#"Pattern("error: unclosed group")"#),
        ] {
            let read = match text.parse::<Readiness>() {
                Ok(readiness) => format!("{readiness:?}"),
                Err(error) => format!("{error:?}"),
            };
            assert_eq!(read, expected, "{text}");
        }
    }
}
