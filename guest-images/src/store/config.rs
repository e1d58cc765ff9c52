//! An image's configuration: what runs in it if nobody says otherwise (OCI image specification,
//! config.md; docker's is the same with more fields).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::blob_digest::BlobDigest;
use super::manifest::{ManifestError, Platform};
use super::null::or_default;

/// What an image says of how to run it. What it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program if there is no entrypoint.
    pub cmd: Vec<String>,
    /// Variables, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Where the command starts; empty is `/`.
    pub working_dir: String,
    /// `USER[:GROUP]`, names or numbers; empty is root.
    pub user: String,
    /// The signal that asks the command to end, as in `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Ports that it listens on, as in `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// Directories that are to be volumes.
    pub volumes: Vec<String>,
    /// Whatever else.
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// In Go's names.
    pub architecture: String,
}

impl ImageConfig {
    /// What is to be said of an image that is for another kind of processor than this machine's,
    /// if it is one.
    pub fn foreign(&self) -> Option<String> {
        let here = Platform::of_this_machine().architecture;
        let is_foreign = !self.architecture.is_empty() && self.architecture != here;
        is_foreign.then(|| {
            let theirs = &self.architecture;
            format!("the image is for {theirs} and this machine is {here}: its programs may not run here")
        })
    }
}

/// A configuration with its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) config: ImageConfig,
    /// Of the uncompressed layers, the lowest first.
    pub(super) diff_ids: Vec<BlobDigest>,
}

/// As it is written. docker writes `null` for what is empty.
#[derive(Deserialize)]
struct Written {
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: WrittenConfig,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenConfig {
    #[serde(default, deserialize_with = "or_default")]
    entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    cmd: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    working_dir: String,
    #[serde(default, deserialize_with = "or_default")]
    user: String,
    #[serde(default)]
    stop_signal: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    volumes: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<BlobDigest>,
}

impl Configuration {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let written: Written =
            serde_json::from_slice(bytes).map_err(|source| ManifestError::Json {
                what: "configuration",
                source,
            })?;
        let config = written.config;
        Ok(Self {
            config: ImageConfig {
                entrypoint: config.entrypoint,
                cmd: config.cmd,
                env: config.env,
                working_dir: config.working_dir,
                user: config.user,
                stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
                exposed_ports: config.exposed_ports.into_keys().collect(),
                volumes: config.volumes.into_keys().collect(),
                labels: config.labels,
                created: written.created,
                architecture: written.architecture,
            },
            diff_ids: written.rootfs.diff_ids,
        })
    }
}

/// The diff ids that a configuration names, the lowest first: what whoever downloads layers
/// needs to know of it.
///
/// # Errors
///
/// When it is no configuration of an image, or has not `layers` layers.
pub fn diff_ids(config: &[u8], layers: usize) -> Result<Vec<BlobDigest>, ManifestError> {
    let diff_ids = Configuration::parse(config)?.diff_ids;
    if diff_ids.len() != layers {
        return Err(ManifestError::Layers {
            layers,
            diff_ids: diff_ids.len(),
        });
    }
    Ok(diff_ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_leaves_out_or_writes_as_null_is_empty() {
        for text in [
            r#"{"rootfs":{"type":"layers","diff_ids":null}}"#,
            r#"{"config":null,"architecture":null,"rootfs":{}}"#,
            r#"{"config":{"Cmd":null,"Env":null,"Volumes":null,"Labels":null,
                "ExposedPorts":null,"Entrypoint":null,"User":null,"WorkingDir":null,
                "StopSignal":""},"rootfs":{"diff_ids":[]}}"#,
        ] {
            let configuration = Configuration::parse(text.as_bytes()).unwrap();
            assert_eq!(configuration.config, ImageConfig::default(), "{text}");
        }
    }

    #[test]
    fn what_an_image_says_is_kept() {
        let layer = BlobDigest::of(b"layer");
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z",
                "config":{{"Entrypoint":["/e"],"Cmd":["a","b"],"Env":["A=1"],"User":"web:33",
                "WorkingDir":"/w","StopSignal":"SIGINT","ExposedPorts":{{"80/tcp":{{}}}},
                "Volumes":{{"/v":{{}}}},"Labels":{{"k":"v"}},"ArgsEscaped":true}},
                "rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"history":[]}}"#
        );
        let Configuration { config, diff_ids } = Configuration::parse(text.as_bytes()).unwrap();
        assert_eq!(diff_ids, [layer]);
        assert_eq!(
            config,
            ImageConfig {
                entrypoint: vec!["/e".into()],
                cmd: vec!["a".into(), "b".into()],
                env: vec!["A=1".into()],
                working_dir: "/w".into(),
                user: "web:33".into(),
                stop_signal: Some("SIGINT".into()),
                exposed_ports: vec!["80/tcp".into()],
                volumes: vec!["/v".into()],
                labels: [("k".into(), "v".into())].into(),
                created: Some("2026-01-02T03:04:05Z".into()),
                architecture: "amd64".into(),
            }
        );
    }

    #[test]
    fn a_layer_without_a_diff_id_is_refused() {
        let error = diff_ids(br#"{"rootfs":{"diff_ids":[]}}"#, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the manifest has 1 layers, and the configuration 0"
        );
    }
}
