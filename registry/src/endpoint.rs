use std::net::IpAddr;

/// Where docker.io really is: the name predates the interface.
const DOCKER_IO: &str = "docker.io";
const DOCKER_IO_HOST: &str = "index.docker.io";

/// A registry's `HOST[:PORT]`, as it is connected to.
pub(crate) fn host_of(registry: &str) -> &str {
    match registry {
        DOCKER_IO => DOCKER_IO_HOST,
        other => other,
    }
}

/// Whether the registry is on this machine: then it may be one without TLS, as with docker.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("[::1]:5000", true),
            ("10.0.0.1:5000", false),
            ("localhost.example", false),
            ("docker.io", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry:?}");
        }
    }
}
