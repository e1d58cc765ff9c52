//! `jaula inspect`.

use std::borrow::Cow;

use host::instances::{Found, State};
use launch::{Network, Port, Resources};
use serde_json::{Map, Value, json};

use super::{Failure, World, endpoint};
use crate::args::InspectArgs;
use crate::error::Error;
use crate::one_by_one::FAILED;
use crate::{date, output};

/// Prints all that is known of each, with docker's names where it has them.
pub fn inspect(args: &InspectArgs) -> Result<u8, Error> {
    let world = World::open()?;
    let mut code = 0;
    let mut all = Vec::new();
    for name in &args.which.names {
        let described = world
            .instances
            .find(name)
            .map_err(Failure::from)
            .and_then(|found| describe(&found, world.is_paused(&found)))
            .and_then(|value| match &args.format {
                Some(path) => field(&value, path)
                    .cloned()
                    .ok_or_else(|| Failure::NoField(name.clone(), path.clone())),
                None => Ok(value),
            });
        match described {
            Ok(value) => all.push(value),
            Err(failure) => {
                super::print(failure);
                code = FAILED;
            }
        }
    }
    if args.format.is_some() {
        for value in &all {
            output::print(&plain(value))?;
        }
    } else {
        // docker prints an empty list, too.
        let text = serde_json::to_string_pretty(&all).map_err(launch::Error::new)?;
        output::print(&text)?;
    }
    Ok(code)
}

fn describe(found: &Found, is_paused: bool) -> Result<Value, Failure> {
    let record = &found.record;
    let asked = &record.asked;
    let text = |texts: &[host::instances::Text]| -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    };
    let argv = text(&asked.command.argv);
    let Resources {
        memory,
        memory_swap,
        cpus,
        cpuset,
        pids,
    } = &asked.resources;
    let credentials = &asked.command.credentials;
    let value = |value: serde_json::Result<Value>| {
        value.map_err(|error| Failure::from(launch::Error::new(error)))
    };
    Ok(json!({
        "Id": record.id,
        "Name": record.name,
        "Side": asked.side,
        "Created": time(record.created_unix_ns),
        "Path": argv.first(),
        "Args": argv.get(1..).unwrap_or_default(),
        "State": state(found, is_paused),
        "Image": asked.image_id,
        "LogPath": asked.detached.then(|| found.dir().join("log")),
        "HostConfig": {
            "AutoRemove": asked.auto_remove,
            "Memory": memory.map_or(0, |limit| limit.bytes()),
            "MemorySwap": value(serde_json::to_value(memory_swap))?,
            "NanoCpus": cpus.map_or(0, |limit| u64::from(limit.milli_cpus()) * 1_000_000),
            "CpusetCpus": cpuset.as_ref().map(ToString::to_string).unwrap_or_default(),
            "PidsLimit": pids.map_or(0, |limit| limit.get()),
            "ReadonlyRootfs": asked.read_only,
            "Init": asked.init,
            "Ulimits": value(serde_json::to_value(&asked.ulimits))?,
            "NetworkMode": network_mode(&asked.network),
            // docker has none.
            "NetworkRate": asked.network.rate().map_or(0, |rate| rate.bytes_per_s().get()),
            "PortBindings": port_bindings(&asked.network),
            "CapabilitiesEffective": asked.security.capabilities.names().collect::<Vec<_>>(),
            "NoNewPrivileges": asked.security.no_new_privileges,
        },
        "Config": {
            "Hostname": asked.hostname,
            "User": format!("{}:{}", credentials.uid, credentials.gid),
            "Tty": asked.terminal,
            "Env": text(&asked.command.env),
            "Cmd": argv,
            "Image": asked.image,
            "ExposedPorts": exposed_ports(&asked.exposed, &asked.network),
            "WorkingDir": asked.command.cwd.to_string(),
            "Labels": asked.labels,
            "StopSignal": asked.stop_signal,
            "StopTimeout": asked.stop_timeout_s,
        },
        "NetworkSettings": endpoint::settings(found),
        "Mounts": asked.mounts.iter().map(mount).collect::<Vec<_>>(),
    }))
}

fn network_mode(network: &Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Host => "host",
        Network::Bridge { .. } => "bridge",
    }
}

/// What was asked for, where an empty host's port is any free one.
fn port_bindings(network: &Network) -> Map<String, Value> {
    let mut bindings = Map::new();
    if let Network::Bridge { publish, .. } = network {
        for published in publish {
            let host_ports = published.host_ports.as_ref().map(ToString::to_string);
            let host_ports = host_ports.unwrap_or_default();
            let (port, address) = (published.port, published.host_address);
            endpoint::add_binding(&mut bindings, port, address, host_ports);
        }
    }
    bindings
}

/// What is published counts as exposed, as with docker.
fn exposed_ports(exposed: &[Port], network: &Network) -> Map<String, Value> {
    let published = match network {
        Network::Bridge { publish, .. } => publish.as_slice(),
        Network::None | Network::Host => &[],
    };
    let published = published.iter().map(|published| &published.port);
    let ports = exposed.iter().chain(published);
    ports.map(|port| (port.to_string(), json!({}))).collect()
}

fn state(found: &Found, is_paused: bool) -> Value {
    let started = time(found.record.created_unix_ns);
    match &found.state {
        State::Running => json!({
            "Status": if is_paused { "paused" } else { "running" },
            "Running": true,
            "Paused": is_paused,
            "OOMKilled": false,
            "Pid": found.record.process.pid,
            "KeeperPid": found.record.keeper.pid,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": started,
            "FinishedAt": Value::Null,
        }),
        State::Ended(status) => json!({
            "Status": "exited",
            "Running": false,
            "Paused": false,
            "OOMKilled": status.oom_killed,
            "Pid": 0,
            "KeeperPid": 0,
            "ExitCode": status.exit_code,
            "Error": status.error.as_deref().unwrap_or_default(),
            "StartedAt": started,
            "FinishedAt": time(status.finished_unix_ns),
        }),
    }
}

fn mount(mount: &launch::Mount) -> Value {
    let (kind, source) = match &mount.source {
        launch::MountSource::Bind(path) => ("bind", path.to_string_lossy()),
        launch::MountSource::Tmpfs { .. } => ("tmpfs", Cow::Borrowed("")),
        launch::MountSource::Anonymous => ("volume", Cow::Borrowed("")),
    };
    json!({
        "Type": kind,
        "Source": source,
        "Destination": mount.target.as_c_str().to_string_lossy(),
        "RW": !mount.read_only,
    })
}

fn time(unix_ns: u64) -> String {
    date::utc_ns(unix_ns)
}

/// What a path as in `.State.Pid` leads to; docker's braces around it are left out.
fn field<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.trim();
    let inner = path
        .strip_prefix("{{")
        .and_then(|path| path.strip_suffix("}}"));
    let path = inner.unwrap_or(path).trim().strip_prefix('.')?;
    path.split('.')
        .filter(|name| !name.is_empty())
        .try_fold(value, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.get(name),
        })
}

/// Text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => bench::visible(text),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_field_with_braces_or_without() {
        let value = json!({"State": {"Pid": 7, "Args": ["a", "b"]}, "Name": "web"});
        for (path, expected) in [
            (".State.Pid", Some("7")),
            ("{{.State.Pid}}", Some("7")),
            ("{{ .Name }}", Some("web")),
            (".State.Args.1", Some("b")),
            (".State.Args", Some(r#"["a","b"]"#)),
            (".State.None", None),
            (".Name.Pid", None),
            ("Name", None),
            ("", None),
        ] {
            let found = field(&value, path).map(plain);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
