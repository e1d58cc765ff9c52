//! `jaula images`, `jaula load`, `jaula pull` and `jaula rmi`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use guest_images::store::{Limits, Reference};
use launch::MemoryLimit;
use registry::Credentials;

use super::Format;
use crate::notation::ImageFilter;

pub(super) const IMAGES_EXAMPLES: &str = "\
Examples:
  jaula images debian
  jaula images --digests 'registry.example/*/*'
  jaula rmi $(jaula images -q --filter dangling=true)";

pub(super) const LOAD_EXAMPLES: &str = "\
Examples:
  docker save debian:13 | jaula load
  jaula load -i debian.tar
  jaula load -i ./layout           an OCI image layout, unpacked";

pub(super) const PULL_EXAMPLES: &str = "\
Examples:
  jaula pull debian:13
  jaula pull localhost:5000/app@sha256:...
  jaula pull --creds me:secret registry.example/team/app:1.2";

pub(super) const RMI_EXAMPLES: &str = "\
Examples:
  jaula rmi debian:13
  jaula rmi 3f9c                   any beginning of an ID that no other has";

#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Print IDs only
    #[arg(short, long)]
    pub quiet: bool,

    /// Print IDs in full
    #[arg(long)]
    pub no_trunc: bool,

    /// Show what the registry knows them by, too
    #[arg(long)]
    pub digests: bool,

    /// List only some: reference=PATTERN, label=NAME[=VALUE], dangling=true|false, before=IMAGE,
    /// since=IMAGE
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<ImageFilter>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Without a tag those of all tags; may have * and ? in it
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub pattern: Option<String>,
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// File or directory to read; otherwise, and for `-`, it is standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Print IDs or names only
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten)]
    pub limits: UnpackLimitArgs,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// Its name, with a tag or a digest; the tag is otherwise `latest`
    #[arg(value_name = "IMAGE")]
    pub image: Reference,

    /// Who asks, unless docker or podman has logged in here
    #[arg(long, value_name = "USER:PASSWORD")]
    pub creds: Option<Credentials>,

    /// Print the name only
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten)]
    pub limits: UnpackLimitArgs,
}

#[derive(Debug, Args)]
pub struct RmiArgs {
    /// Which ones: by name, or by the beginning of the ID
    #[arg(value_name = "IMAGE", required = true, value_parser = NonEmptyStringValueParser::new())]
    pub images: Vec<String>,

    /// Remove an image that was given by its ID though it has several names
    #[arg(short, long)]
    pub force: bool,
}

/// How large an image may be that is unpacked.
#[derive(Debug, Args)]
pub struct UnpackLimitArgs {
    /// Most that an image may unpack to, as in 512m or 40g [default: 16g]
    #[arg(long, value_name = "SIZE")]
    max_unpacked: Option<MemoryLimit>,

    /// Most files that an image may have [default: 1000000]
    #[arg(long, value_name = "NUMBER")]
    max_files: Option<u64>,
}

impl UnpackLimitArgs {
    /// The limits that were asked for.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            bytes: self.max_unpacked.map_or(usual.bytes, |size| size.bytes()),
            entries: self.max_files.unwrap_or(usual.entries),
        }
    }
}
