//! The ports that a command is said to listen on, and that `--publish-all` publishes.

use std::collections::BTreeSet;

use launch::{Network, Port, Progress, PublishedPort};

use crate::notation::{DEFAULT_ADDRESS, ExposedPortsArg, instance_port};

/// Those of an image's configuration and of `--expose`, in order. What the image names that is no
/// port here is left out, which is noted: it is no reason not to run it.
pub fn exposed_ports(
    of_image: &[String],
    typed: &[ExposedPortsArg],
    progress: &dyn Progress,
) -> Vec<Port> {
    let mut ports: BTreeSet<_> = typed.iter().flat_map(|ports| &ports.0).copied().collect();
    let mut left_out = None;
    for given in of_image {
        match instance_port(given) {
            Ok(port) => {
                ports.insert(port);
            }
            // One is enough to be told of.
            Err(error) => {
                left_out.get_or_insert((given, error));
            }
        }
    }
    if let Some((given, error)) = left_out {
        progress.note(&format!("the image's port {given:?} is left out: {error}"));
    }
    ports.into_iter().collect()
}

/// Publishes each that is not published yet at a free port, as docker does.
pub fn publish_all(network: &mut Network, exposed: &[Port]) {
    let Network::Bridge { publish, .. } = network else {
        return;
    };
    let published: BTreeSet<_> = publish.iter().map(|published| published.port).collect();
    let others = exposed.iter().filter(|port| !published.contains(port));
    publish.extend(others.map(|port| PublishedPort {
        host_address: DEFAULT_ADDRESS,
        host_ports: None,
        port: *port,
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use launch::NoProgress;

    use super::*;

    fn shown(ports: &[Port]) -> Vec<String> {
        ports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_of_the_image_and_of_the_user_are_one_list() {
        let of_image = ["9000/udp", "80/tcp", "81"].map(str::to_owned);
        let typed = ["79-80".parse().unwrap()];
        let ports = exposed_ports(&of_image, &typed, &NoProgress);
        assert_eq!(shown(&ports), ["79/tcp", "80/tcp", "81/tcp", "9000/udp"]);
    }

    #[test]
    fn a_port_of_the_image_that_is_none_here_is_noted_and_left_out() {
        struct Notes(Mutex<Vec<String>>);
        impl Progress for Notes {
            fn begin(&self, _what: &str) {}
            fn advance(&self, _done: u64, _total: u64) {}
            fn end(&self) {}
            fn note(&self, what: &str) {
                self.0.lock().unwrap().push(what.to_owned());
            }
        }
        let notes = Notes(Mutex::default());
        let ports = exposed_ports(&["5000/sctp", "80", "x"].map(str::to_owned), &[], &notes);
        assert_eq!(shown(&ports), ["80/tcp"]);
        let said = notes.0.into_inner().unwrap();
        assert_eq!(
            said,
            ["the image's port \"5000/sctp\" is left out: its protocol is tcp or udp"]
        );
    }

    #[test]
    fn what_is_published_already_is_not_published_again() {
        let exposed = exposed_ports(&["80".into(), "443".into()], &[], &NoProgress);
        let mut network = Network::Bridge {
            publish: "8080:80".parse::<crate::notation::PortsArg>().unwrap().0,
            rate: None,
        };
        publish_all(&mut network, &exposed);
        let Network::Bridge { publish, .. } = network else {
            panic!("another network");
        };
        let ports: Vec<_> = publish
            .iter()
            .map(|it| (it.port.number, it.host_ports.map(|ports| ports.to_string())))
            .collect();
        assert_eq!(ports, [(80, Some("8080".into())), (443, None)]);
    }
}
