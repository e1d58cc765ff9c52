//! `/etc/resolv.conf` for an instance (resolv.conf(5)).

use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

/// The host's.
const HOST: &str = "/etc/resolv.conf";

/// Where systemd-resolved keeps the servers that it asks itself, when the host's file names only
/// its own address on the loopback interface (systemd-resolved.service(8)).
const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";
const SYSTEMDS_OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 53));

/// What goes where there is no name server that the instance could reach.
const NONE_LEFT: &str = "\
# The host has no name server that can be reached from here: all that it names are on its loopback
# interface. Name one: jaula run --dns ADDRESS
";

/// What stands in a `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Configuration {
    servers: Vec<IpAddr>,
    /// The other lines: domains to search, options.
    rest: Vec<String>,
}

impl Configuration {
    /// Reads a file, as the C library does: unknown and broken lines are as good as none.
    fn parse(text: &str) -> Self {
        let mut configuration = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => configuration.servers.extend(
                    words
                        .next()
                        .and_then(|address| address.parse::<IpAddr>().ok()),
                ),
                Some("search" | "domain" | "options" | "sortlist") => {
                    configuration.rest.push(line.trim().to_owned());
                }
                _ => {}
            }
        }
        configuration
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        for line in &self.rest {
            text.push_str(line);
            text.push('\n');
        }
        if self.servers.is_empty() {
            text.push_str(NONE_LEFT);
        }
        text
    }
}

/// What an instance with a network of its own finds in `/etc/resolv.conf`: `servers`, or those of
/// the host's that it can reach, and what else the host's file says.
///
/// # Errors
///
/// When a file of the host's is there and can't be read.
pub(crate) fn resolv_conf(servers: &[IpAddr]) -> io::Result<String> {
    Ok(for_instance(read_host()?, servers).render())
}

fn for_instance(mut host: Configuration, servers: &[IpAddr]) -> Configuration {
    if servers.is_empty() {
        // An instance has IPv4 only, and a loopback interface of its own.
        host.servers
            .retain(|server| server.is_ipv4() && !server.is_loopback());
    } else {
        host.servers = servers.to_vec();
    }
    host
}

/// What an instance finds there that shares the host's network: what the host has, or `servers`.
///
/// # Errors
///
/// As above.
pub(crate) fn host_resolv_conf(servers: &[IpAddr]) -> io::Result<String> {
    let host = read(HOST)?;
    if servers.is_empty() {
        return Ok(host);
    }
    let mut configuration = Configuration::parse(&host);
    configuration.servers = servers.to_vec();
    Ok(configuration.render())
}

/// The name servers that the host asks, as far as they can be found out.
pub(crate) fn host_servers() -> Vec<IpAddr> {
    read_host().unwrap_or_default().servers
}

fn read_host() -> io::Result<Configuration> {
    let host = Configuration::parse(&read(HOST)?);
    if host.servers == [SYSTEMDS_OWN] {
        let behind = Configuration::parse(&read(BEHIND_SYSTEMD)?);
        if !behind.servers.is_empty() {
            return Ok(behind);
        }
    }
    Ok(host)
}

/// A file that is not there says nothing.
fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_c_library_would_skip_is_skipped() {
        let configuration = Configuration::parse(
            "# nameserver 192.0.2.9\n; x\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # mine\n\
             nameserver nonsense\nnameserver\nsearch  a.example b.example\noptions ndots:2\nfoo bar\n",
        );
        let servers: Vec<String> = configuration
            .servers
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(servers, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(
            configuration.rest,
            ["search  a.example b.example", "options ndots:2"]
        );
    }

    #[test]
    fn an_instance_gets_the_servers_that_it_can_reach() {
        let host = "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver ::1\n\
                    nameserver 2001:db8::1\nsearch a.example\n";
        for (asked, expected) in [
            (&[][..], "nameserver 192.0.2.1\nsearch a.example\n"),
            (
                &["198.51.100.7", "127.0.0.1"],
                "nameserver 198.51.100.7\nnameserver 127.0.0.1\nsearch a.example\n",
            ),
        ] {
            let asked: Vec<IpAddr> = asked.iter().map(|server| server.parse().unwrap()).collect();
            let text = for_instance(Configuration::parse(host), &asked).render();
            assert_eq!(text, expected, "{asked:?}");
        }
    }

    #[test]
    fn where_no_server_is_left_the_file_says_what_to_do() {
        let text = for_instance(Configuration::parse("nameserver 127.0.0.53\n"), &[]).render();
        assert!(text.contains("--dns ADDRESS"), "{text}");
    }

    proptest! {
        #[test]
        fn what_was_rendered_reads_the_same(text in "(nameserver [0-9.:]{1,9}\n|search [a-z ]*\n|.*\n)*") {
            let configuration = Configuration::parse(&text);
            prop_assert_eq!(Configuration::parse(&configuration.render()), configuration);
        }
    }
}
