//! `jaula port`.

use launch::PortMapping;

use super::{Failure, World};
use crate::args::PortArgs;
use crate::error::Error;
use crate::output;

/// Prints where the host forwards to ports of an instance, or to one of them.
pub fn port(args: &PortArgs) -> Result<u8, Error> {
    let world = World::open()?;
    let found = world.instances.find(&args.name).map_err(Failure::from)?;
    let record = &found.record;
    let mut ports: Vec<PortMapping> = match &record.endpoint {
        Some(endpoint) if found.is_running() => endpoint.ports.clone(),
        _ => Vec::new(),
    };
    ports.sort_by_key(|mapping| (mapping.port, mapping.host));
    match args.port {
        None => {
            for PortMapping { host, port } in ports {
                output::print(&format!("{port} -> {host}"))?;
            }
        }
        Some(asked) => {
            ports.retain(|mapping| mapping.port == asked);
            if ports.is_empty() {
                return Err(Failure::NotPublished(record.name.clone(), asked).into());
            }
            for PortMapping { host, .. } in ports {
                output::print(&host.to_string())?;
            }
        }
    }
    Ok(0)
}
