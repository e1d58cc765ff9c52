//! Manifests and lists of them, of OCI and of docker, which differ in names of media types only
//! (OCI image specification, manifest.md and image-index.md; distribution's
//! `manifest-v2-2.md`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::blob_digest::BlobDigest;
use super::null::or_default;

/// Largest document that is read, in bytes: as large a manifest as registries must take
/// (distribution specification, "Pushing Manifests").
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Why a document of an image can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON of that form.
    #[error("the {what} is not well-formed")]
    Json {
        /// Which document.
        what: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is neither.
    #[error("it is neither an image's manifest nor a list of manifests")]
    Kind,
    /// It is docker's first format, which names no digests.
    #[error("it is a manifest of schema version 1, which was given up in 2017")]
    Schema1,
    /// The list has nothing for this machine.
    #[error("the image is not there for {platform}; it is for {}", there.join(", "))]
    Platform {
        /// This machine's.
        platform: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Manifest and configuration contradict each other.
    #[error("the manifest has {layers} layers, and the configuration {diff_ids}")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

/// A blob that a document refers to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What is in it.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Its digest.
    pub digest: BlobDigest,
    /// Its length, in bytes; whoever wrote the document may have lied.
    pub size: u64,
    /// In a list, what the image is for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Whatever else.
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Whether it is a list of manifests.
    pub fn is_index(&self) -> bool {
        INDEX_TYPES.contains(&self.media_type.as_str())
    }
}

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// In Go's names.
    pub os: String,
    /// In Go's names.
    pub architecture: String,
    /// Of the architecture, as in `v8`.
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn of_this_machine() -> Self {
        // From Rust's names to Go's, where they differ.
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: None,
        }
    }

    /// Whether what is made for `other` runs here: what is made for the first variant of an
    /// architecture runs on all of it, and nobody says of a machine which others it has.
    pub(super) fn runs(&self, other: &Self) -> bool {
        let is_first = match other.variant.as_deref() {
            None | Some("") => true,
            Some(variant) => first_variant(&other.architecture).is_none_or(|it| it == variant),
        };
        self.os == other.os && self.architecture == other.architecture && is_first
    }

    /// Whether it says of what is no image that it is none: what a build attests of one stands
    /// beside it in lists.
    fn is_unknown(&self) -> bool {
        self.os == "unknown"
    }

    fn name(&self) -> String {
        match &self.variant {
            Some(variant) if !variant.is_empty() => {
                format!("{}/{}/{variant}", self.os, self.architecture)
            }
            _ => format!("{}/{}", self.os, self.architecture),
        }
    }
}

/// What an image is for that names no variant (OCI image specification, image-index.md, "Platform
/// Variants"; x86-64 psABI, "Micro-Architecture Levels").
fn first_variant(architecture: &str) -> Option<&'static str> {
    match architecture {
        "amd64" => Some("v1"),
        "arm64" => Some("v8"),
        _ => None,
    }
}

/// An image: its configuration and its layers, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers.
    #[serde(default, deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
}

/// A list of images, one for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Index {
    /// The images' manifests, or further lists.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// The one for `platform`: the first that fits.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn choose(&self, platform: &Platform) -> Result<&Descriptor, ManifestError> {
        let fits = |descriptor: &&Descriptor| {
            // Without a platform it is for whoever asks.
            let platform = |other: &Platform| platform.runs(other);
            descriptor.platform.as_ref().is_none_or(platform)
        };
        self.manifests.iter().find(fits).ok_or_else(|| {
            let there = self.manifests.iter().flat_map(|it| &it.platform);
            let there = there.filter(|it| !it.is_unknown());
            let mut there: Vec<_> = there.map(Platform::name).collect();
            there.dedup();
            // Enough to see what it is about, in one line.
            there.truncate(8);
            ManifestError::Platform {
                platform: platform.name(),
                there,
            }
        })
    }
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Images to choose from.
    Index(Index),
}

impl Document {
    /// Reads a manifest or a list of them. `media_type` is what whoever gave it says it is, and
    /// may be empty: the document's own word, and then its form, tell it as well.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            #[serde(default)]
            schema_version: u32,
            #[serde(default, deserialize_with = "or_default")]
            media_type: String,
            config: Option<serde::de::IgnoredAny>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let what = "manifest";
        let json = |source| ManifestError::Json { what, source };
        let head: Head = serde_json::from_slice(bytes).map_err(json)?;
        // RFC 9110 allows parameters after a semicolon.
        let given = media_type.split(';').next().unwrap_or_default().trim();
        let is = |types: [&str; 2]| {
            types.contains(&head.media_type.as_str())
                || (head.media_type.is_empty() && types.contains(&given))
        };
        if head.schema_version == 1 {
            return Err(ManifestError::Schema1);
        }
        // A document that is both could be read as one thing here and as another elsewhere
        // (CVE-2021-41190).
        match (&head.config, &head.manifests) {
            (Some(_), None) if !is(INDEX_TYPES) => {
                Ok(Self::Manifest(serde_json::from_slice(bytes).map_err(json)?))
            }
            (None, Some(_)) if !is(MANIFEST_TYPES) => {
                Ok(Self::Index(serde_json::from_slice(bytes).map_err(json)?))
            }
            _ => Err(ManifestError::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(platform: &str) -> String {
        format!(
            r#"{{"mediaType":"m","size":1,"digest":"{}"{platform}}}"#,
            BlobDigest::of(platform.as_bytes())
        )
    }

    fn for_platform(name: &str) -> String {
        let parts: Vec<_> = name.split('/').collect();
        let variant = match parts.get(2) {
            Some(variant) => format!(r#","variant":"{variant}""#),
            None => String::new(),
        };
        let (os, architecture) = (parts[0], parts[1]);
        descriptor(&format!(
            r#","platform":{{"os":"{os}","architecture":"{architecture}"{variant}}}"#
        ))
    }

    #[test]
    fn the_platform_is_chosen() {
        let platform = |name: &str| {
            let mut parts = name.split('/').map(str::to_owned);
            Platform {
                os: parts.next().unwrap(),
                architecture: parts.next().unwrap(),
                variant: parts.next(),
            }
        };
        let choose = |there: &[&str], wanted: &str| {
            let all: Vec<_> = there.iter().map(|it| for_platform(it)).collect();
            let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, all.join(","));
            let Document::Index(index) = Document::parse(text.as_bytes(), "").unwrap() else {
                panic!("not an index");
            };
            let chosen = index.choose(&platform(wanted));
            let chosen = chosen.map(|chosen| chosen.platform.clone().unwrap().name());
            chosen.map_err(|error| error.to_string())
        };
        let attested = "unknown/unknown";
        for (there, wanted, expected) in [
            (
                &["linux/arm64", "windows/amd64", "linux/amd64"][..],
                "linux/amd64",
                Ok("linux/amd64"),
            ),
            (
                &[attested, "linux/amd64", attested],
                "linux/amd64",
                Ok("linux/amd64"),
            ),
            (
                &["linux/amd64/v3", "linux/amd64"],
                "linux/amd64",
                Ok("linux/amd64"),
            ),
            (
                &["linux/amd64/v3", "linux/amd64/v1"],
                "linux/amd64",
                Ok("linux/amd64/v1"),
            ),
            (
                &["linux/arm/v7", "linux/arm64/v8"],
                "linux/arm64",
                Ok("linux/arm64/v8"),
            ),
            (&["linux/s390x/z13"], "linux/s390x", Ok("linux/s390x/z13")),
            (
                &["linux/amd64/v3", attested],
                "linux/amd64",
                Err("the image is not there for linux/amd64; it is for linux/amd64/v3"),
            ),
            (
                &["linux/arm64", "windows/amd64", "linux/amd64"],
                "linux/riscv64",
                Err(
                    "the image is not there for linux/riscv64; it is for linux/arm64, windows/amd64, linux/amd64",
                ),
            ),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(choose(there, wanted), expected, "{there:?}");
        }
    }

    #[test]
    fn what_go_writes_as_null_is_empty() {
        let config = descriptor("").replace('}', r#","annotations":null,"platform":null}"#);
        let text =
            format!(r#"{{"schemaVersion":2,"mediaType":null,"config":{config},"layers":null}}"#);
        let parsed = Document::parse(text.as_bytes(), "").unwrap();
        assert!(matches!(parsed, Document::Manifest(Manifest { layers, .. }) if layers.is_empty()));
    }

    #[test]
    fn a_document_is_one_thing_only() {
        let it = descriptor("");
        for (text, media_type) in [
            (
                format!(r#"{{"config":{it},"layers":[],"manifests":[]}}"#),
                "",
            ),
            (format!(r#"{{"config":{it},"layers":[]}}"#), INDEX_TYPES[0]),
            (r#"{"manifests":[]}"#.to_owned(), MANIFEST_TYPES[1]),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), ""),
            ("{}".to_owned(), ""),
            ("[]".to_owned(), ""),
            (String::new(), ""),
        ] {
            assert!(
                Document::parse(text.as_bytes(), media_type).is_err(),
                "{text}"
            );
        }
        let manifest = format!(r#"{{"config":{it},"layers":[{it}]}}"#);
        let parameters = format!("{}; charset=utf-8", MANIFEST_TYPES[0]);
        let parsed = Document::parse(manifest.as_bytes(), &parameters);
        assert!(matches!(parsed, Ok(Document::Manifest(_))));
    }
}
