//! What the notations of ports have in common.

use launch::{PortRange, Protocol};

use super::Invalid;

/// Splits off `/tcp` or `/udp`; tcp if neither is given.
pub(super) fn protocol(given: &str) -> Result<(&str, Protocol), Invalid> {
    match given.split_once('/') {
        Some((ports, "tcp")) => Ok((ports, Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some(_) => Err(Invalid::new("its protocol is tcp or udp")),
        None => Ok((given, Protocol::Tcp)),
    }
}

/// `PORT` or `FIRST-LAST`; `takes` says what a flag takes that is given something else.
pub(super) fn port_range(text: &str, takes: &'static str) -> Result<PortRange, Invalid> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(port) if digits => Ok(port),
            _ if digits => Err(Invalid::new("a port is a number from 1 to 65535")),
            _ => Err(Invalid::new(takes)),
        }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    PortRange::new(first, last).map_err(|error| Invalid::new(error.to_string()))
}
