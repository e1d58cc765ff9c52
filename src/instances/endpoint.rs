//! Where an instance is found, as it is shown.

use std::fmt::Write;
use std::net::IpAddr;

use host::instances::{Found, Record};
use launch::{Port, PortMapping};
use serde_json::{Map, Value, json};

/// As docker lists them: what is published, then what is not and could be; ports that follow each
/// other are one. None is reached any more when it has ended.
pub fn listed(found: &Found) -> String {
    match &found.record.endpoint {
        Some(endpoint) if found.is_running() => {
            list(&endpoint.ports, &not_published(&found.record))
        }
        _ => String::new(),
    }
}

/// Where it is found now, in docker's words.
pub fn settings(found: &Found) -> Value {
    let endpoint = match &found.record.endpoint {
        Some(endpoint) if found.is_running() => endpoint,
        _ => {
            return json!({ "IPAddress": "", "IPPrefixLen": 0, "Gateway": "", "Ports": {} });
        }
    };
    let mut ports = Map::new();
    for port in not_published(&found.record) {
        ports.insert(port.to_string(), Value::Null);
    }
    for PortMapping { host, port } in &endpoint.ports {
        add_binding(&mut ports, *port, host.ip(), host.port().to_string());
    }
    json!({
        "IPAddress": endpoint.address,
        "IPPrefixLen": endpoint.prefix_length,
        "Gateway": endpoint.gateway,
        "Ports": ports,
    })
}

/// Adds one of the host's addresses at which `port` is found.
pub fn add_binding(
    ports: &mut Map<String, Value>,
    port: Port,
    host_address: IpAddr,
    host_port: String,
) {
    let binding = json!({ "HostIp": host_address, "HostPort": host_port });
    match ports.entry(port.to_string()).or_insert_with(|| json!([])) {
        Value::Array(bindings) => bindings.push(binding),
        other => *other = json!([binding]),
    }
}

fn not_published(record: &Record) -> Vec<Port> {
    let published = record.endpoint.iter().flat_map(|endpoint| &endpoint.ports);
    let published: Vec<_> = published.map(|mapping| mapping.port).collect();
    let exposed = record.asked.exposed.iter().copied();
    exposed.filter(|port| !published.contains(port)).collect()
}

fn list(published: &[PortMapping], others: &[Port]) -> String {
    let mut published = published.to_vec();
    published.sort_by_key(|mapping| (mapping.host.ip(), mapping.port, mapping.host.port()));
    let mut text = String::new();
    for run in published.chunk_by(|one, next| {
        one.host.ip() == next.host.ip()
            && follows(one.port, next.port)
            && u32::from(one.host.port()) + 1 == u32::from(next.host.port())
    }) {
        let ends = run.first().zip(run.last());
        let Some((PortMapping { host, port }, last)) = ends else {
            continue;
        };
        let address = match host.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let hosts = span(host.port(), last.host.port());
        let ports = span(port.number, last.port.number);
        add(
            &mut text,
            format_args!("{address}:{hosts}->{ports}/{}", port.protocol),
        );
    }
    for run in others.chunk_by(|one, next| follows(*one, *next)) {
        if let Some((first, last)) = run.first().zip(run.last()) {
            let ports = span(first.number, last.number);
            add(&mut text, format_args!("{ports}/{}", first.protocol));
        }
    }
    text
}

fn follows(one: Port, next: Port) -> bool {
    one.protocol == next.protocol && u32::from(one.number) + 1 == u32::from(next.number)
}

fn span(first: u16, last: u16) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    let separator = if text.is_empty() { "" } else { ", " };
    // Writing to a string does not fail.
    let _ = write!(text, "{separator}{part}");
}

#[cfg(test)]
mod tests {
    use launch::Protocol::{self, Tcp, Udp};

    use super::*;

    fn port(number: u16, protocol: Protocol) -> Port {
        Port { number, protocol }
    }

    fn mapping(host: &str, number: u16, protocol: Protocol) -> PortMapping {
        PortMapping {
            host: host.parse().unwrap(),
            port: port(number, protocol),
        }
    }

    #[test]
    fn ports_that_follow_each_other_are_listed_as_one() {
        for (published, others, expected) in [
            (vec![], vec![], ""),
            (
                vec![mapping("127.0.0.1:8080", 80, Tcp)],
                vec![port(443, Tcp)],
                "127.0.0.1:8080->80/tcp, 443/tcp",
            ),
            (
                vec![
                    mapping("0.0.0.0:8001", 81, Tcp),
                    mapping("0.0.0.0:8000", 80, Tcp),
                    mapping("0.0.0.0:8003", 82, Tcp),
                    mapping("0.0.0.0:8004", 83, Udp),
                ],
                vec![],
                "0.0.0.0:8000-8001->80-81/tcp, 0.0.0.0:8003->82/tcp, 0.0.0.0:8004->83/udp",
            ),
            (
                vec![
                    mapping("127.0.0.1:1", 80, Tcp),
                    mapping("127.0.0.2:2", 81, Tcp),
                    mapping("[::1]:65535", 65535, Tcp),
                ],
                vec![],
                "127.0.0.1:1->80/tcp, 127.0.0.2:2->81/tcp, [::1]:65535->65535/tcp",
            ),
            (
                vec![],
                vec![port(1, Tcp), port(2, Tcp), port(3, Udp), port(5, Udp)],
                "1-2/tcp, 3/udp, 5/udp",
            ),
        ] {
            assert_eq!(list(&published, &others), expected);
        }
    }
}
