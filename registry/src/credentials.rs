//! Who asks: `--creds`, or what `docker login` and `podman login` wrote down.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Larger than any such file.
const MAX_BYTES: u64 = 1 << 20;

/// The name that docker writes its own registry down by.
const DOCKER_IO_KEY: &str = "https://index.docker.io/v1/";

/// `--creds` that say no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("takes USER:PASSWORD")]
pub struct InvalidCredentials;

/// A file with credentials that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not in docker's format.
    #[error("{} holds no credentials in docker's format", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// What it says of this registry is not in docker's format.
    #[error("the credentials of {registry} in {} are damaged", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Of which registry.
        registry: String,
    },
}

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials of {:?}", self.user)
    }
}

impl FromStr for Credentials {
    type Err = InvalidCredentials;

    fn from_str(given: &str) -> Result<Self, InvalidCredentials> {
        match given.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(InvalidCredentials),
        }
    }
}

impl Credentials {
    pub(crate) fn name(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

/// What is known of `registry`: nothing, if nobody logged in.
pub(crate) fn stored(registry: &str) -> Result<Option<Credentials>, CredentialsError> {
    for path in files(|name| std::env::var_os(name)) {
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(CredentialsError::Read { path, source }),
        };
        if let Some(found) = find(&bytes, registry, path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where they may be, podman's places first: containers-auth.json(5).
fn files(env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let directory = |name| env(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    if let Some(file) = directory("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let podman = directory("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let docker = directory("DOCKER_CONFIG")
        .or_else(|| directory("HOME").map(|home| home.join(".docker")))
        .map(|dir| dir.join("config.json"));
    podman.into_iter().chain(docker).collect()
}

fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// USER:PASSWORD in base64; empty where a credential helper keeps it.
    #[serde(default)]
    auth: String,
}

fn find(
    bytes: &[u8],
    registry: &str,
    path: PathBuf,
) -> Result<Option<Credentials>, CredentialsError> {
    let file: File = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        Err(source) => return Err(CredentialsError::Format { path, source }),
    };
    let keys: &[&str] = match registry {
        "docker.io" => &[DOCKER_IO_KEY, "docker.io", "index.docker.io"],
        other => &[other],
    };
    let entry = keys.iter().find_map(|key| file.auths.get(*key));
    let Some(entry) = entry.filter(|entry| !entry.auth.is_empty()) else {
        return Ok(None);
    };
    STANDARD
        .decode(&entry.auth)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| CredentialsError::Damaged {
            path,
            registry: registry.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look_up(text: &str, registry: &str) -> Result<Option<Credentials>, String> {
        find(text.as_bytes(), registry, "file".into()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_docker_wrote_down_is_found() {
        let text = r#"{"auths":{"r:5000":{"auth":"bWU6cDpx"},"helped":{},
            "https://index.docker.io/v1/":{"auth":"aHViOnB3"}},"credsStore":"x"}"#;
        for (registry, expected) in [
            ("r:5000", Some("me:p:q")),
            ("docker.io", Some("hub:pw")),
            ("helped", None),
            ("r", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(look_up(text, registry), Ok(expected), "{registry}");
        }
    }

    #[test]
    fn what_is_damaged_is_named() {
        assert!(look_up("[", "r").unwrap_err().contains("file"));
        let entry = r#"{"auths":{"r":{"auth":"%"}}}"#;
        assert!(look_up(entry, "r").unwrap_err().contains("of r in file"));
    }

    #[test]
    fn podmans_places_come_before_dockers() {
        let env = |set: &'static [(&str, &str)]| {
            files(move |name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            })
        };
        assert_eq!(
            env(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]),
            [
                PathBuf::from("/r/containers/auth.json"),
                "/h/.docker/config.json".into()
            ]
        );
        assert_eq!(
            env(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]),
            [PathBuf::from("/d/config.json")]
        );
        assert_eq!(
            env(&[("REGISTRY_AUTH_FILE", "/f"), ("HOME", "/h")]),
            [PathBuf::from("/f")]
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials: Credentials = "me:secret".parse().unwrap();
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(bytes: Vec<u8>, auth in "[a-zA-Z=]{0,20}") {
            let _ = find(&bytes, "r", "file".into());
            let _ = look_up(&format!(r#"{{"auths":{{"r":{{"auth":"{auth}"}}}}}}"#), "r");
        }
    }
}
