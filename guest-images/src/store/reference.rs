//! An image's name as docker reads it: `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`.
//!
//! The grammar is that of distribution's `reference` package
//! (<https://github.com/distribution/reference>, `reference.go`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::blob_digest::BlobDigest;

/// Where a name without a registry leads.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Where a name of one component lies on that registry.
const DEFAULT_NAMESPACE: &str = "library/";

const DEFAULT_TAG: &str = "latest";

/// `NameTotalLengthMax` of distribution.
const MAX_NAME_BYTES: usize = 255;

/// Of a tag, in distribution's `TagRegexp`.
const MAX_TAG_BYTES: usize = 128;

/// What is no image's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no image's name: {why}")]
pub struct InvalidReference {
    name: String,
    why: &'static str,
}

/// The name of an image, complete: what was left out has docker's default.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<BlobDigest>,
}

impl Reference {
    /// `HOST[:PORT]`, `docker.io` if none was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The name on the registry, as in `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: `latest` if neither a tag nor a digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if it was given.
    pub fn digest(&self) -> Option<&BlobDigest> {
        self.digest.as_ref()
    }

    /// With a digest the tag says nothing more.
    pub(super) fn without_tag_if_digest(&self) -> Self {
        let mut name = self.clone();
        if name.digest.is_some() {
            name.tag = None;
        }
        name
    }

    /// Registry and repository as docker shows them, without what goes without saying. What would
    /// then be read as a name on another registry, or as an image's ID, is shown in full.
    pub fn familiar_name(&self) -> String {
        let short = match self.repository.strip_prefix(DEFAULT_NAMESPACE) {
            Some(name) if !name.contains('/') => name,
            _ => &self.repository,
        };
        let is_read_the_same = |short: &str| {
            parse(short).is_ok_and(|read| {
                (&read.registry, &read.repository) == (&self.registry, &self.repository)
            })
        };
        match self.registry == DEFAULT_REGISTRY && is_read_the_same(short) {
            true => short.to_owned(),
            false => format!("{}/{}", self.registry, self.repository),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        parse(text).map_err(|why| InvalidReference {
            name: text.to_owned(),
            why,
        })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) => {
            let digest = digest
                .parse()
                .map_err(|_| "what follows @ must be sha256: and 64 digits, or sha512: and 128")?;
            (name, Some(digest))
        }
        None => (text, None),
    };
    // A colon before the last slash is a port's.
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(
            "a tag has up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two",
        );
    }
    if name.is_empty() {
        return Err("it is empty");
    }
    if BlobDigest::from_hex(name).is_some() {
        return Err("64 digits are an image's ID");
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = match registry {
        "index.docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    if registry != DEFAULT_REGISTRY && !is_host(registry) {
        return Err("its registry is no host");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("it has more than 255 letters");
    }
    if !path.split('/').all(is_component) {
        return Err(
            "each part has lower-case letters and digits, with '.', '_', '__' or '-' between them",
        );
    }
    let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("{DEFAULT_NAMESPACE}{path}")
    } else {
        path.to_owned()
    };
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest,
    })
}

/// Whether the first part of a name is a registry and not a directory on the default one.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, rest)) => {
                let address = host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
                if !address || host.is_empty() {
                    return false;
                }
                match rest {
                    "" => return true,
                    rest => return rest.strip_prefix(':').is_some_and(is_port),
                }
            }
            None => return false,
        },
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG_BYTES
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// `path-component` of the grammar: letters and digits, separated by `.`, `_`, `__` or dashes.
fn is_component(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut any = false;
    for b in part.bytes() {
        if plain(b) {
            let allowed = matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|b| b == b'-');
            if !allowed || (!any && !separator.is_empty()) {
                return false;
            }
            any = true;
            separator.clear();
        } else if matches!(b, b'.' | b'_' | b'-') {
            separator.push(b.into());
        } else {
            return false;
        }
    }
    any && separator.is_empty()
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// As docker shows it, and as it can be typed again.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_has_dockers_default() {
        for (text, registry, repository, tag) in [
            ("busybox", "docker.io", "library/busybox", "latest"),
            ("busybox:1.36", "docker.io", "library/busybox", "1.36"),
            ("me/tool", "docker.io", "me/tool", "latest"),
            (
                "docker.io/busybox",
                "docker.io",
                "library/busybox",
                "latest",
            ),
            ("index.docker.io/a/b", "docker.io", "a/b", "latest"),
            ("localhost/a", "localhost", "a", "latest"),
            ("localhost:5000/a:b", "localhost:5000", "a", "b"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", "latest"),
            ("[::1]:5000/a", "[::1]:5000", "a", "latest"),
            (
                "ghcr.io/a/b__c-d.e:V_1.2-x",
                "ghcr.io",
                "a/b__c-d.e",
                "V_1.2-x",
            ),
            ("foo:5000", "docker.io", "library/foo", "5000"),
            ("Host/a", "Host", "a", "latest"),
        ] {
            let reference: Reference = text.parse().unwrap();
            let got = (
                reference.registry(),
                reference.repository(),
                reference.tag(),
            );
            assert_eq!(got, (registry, repository, Some(tag)), "{text}");
        }
    }

    #[test]
    fn it_is_shown_as_docker_shows_it() {
        let id = "0a".repeat(32);
        let digest = format!("@sha256:{id}");
        for (text, shown) in [
            ("docker.io/library/busybox", "busybox:latest"),
            ("docker.io/me/tool:1", "me/tool:1"),
            (
                "localhost:5000/library/a",
                "localhost:5000/library/a:latest",
            ),
            (&format!("busybox{digest}"), &format!("busybox{digest}")),
            (&format!("busybox:1{digest}"), &format!("busybox:1{digest}")),
            // Not the image of another registry, nor one with this ID.
            ("docker.io/r.io/a", "docker.io/r.io/a:latest"),
            (
                &format!("docker.io/{id}"),
                &format!("docker.io/library/{id}:latest"),
            ),
        ] as [(&str, &str); 7]
        {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for text in [
            "",
            ":tag",
            "@",
            "a@",
            "a@sha256:12",
            "A",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-b",
            "a:.b",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a_",
            ".a",
            "a b",
            "a:b c",
            "a:b:c",
            "ä",
            "-x.com/a",
            "a.b:99999/c",
            "a.b:/c",
            "../a",
            "a/../b",
            "[::1/a",
            "[]/a",
            &"a".repeat(256),
            &format!("a:{}", "b".repeat(129)),
            &"0".repeat(64),
        ] as [&str; 33]
        {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_the_same(
            text in "(docker\\.io/)?(library/)?[a-zA-Z0-9:/@._\\[\\]-]{0,40}",
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
            }
        }
    }
}
