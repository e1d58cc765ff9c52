//! An archive with images, docker's or OCI's, that is loaded into a store in memory, with files
//! beside it that no archive may touch.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use arbitrary::{Result, Unstructured};
use guest_images::store::{BlobDigest, Choice, Limits, Loaded, Loading, Naming, Reference, Store};
use launch::NoProgress;
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::canary::{Cage, remove};
use super::layer;
use crate::allocation;
use crate::fields::{bytes, number, seldom};

/// What an archive of some kibibytes is read with.
const MAX_ALLOCATED_BYTES: usize = 4 << 20;

/// Few, so that an input gets there.
const LIMITS: Limits = Limits {
    bytes: 64 << 10,
    entries: 24,
};

const NAMES: [&str; 10] = [
    "app:1",
    "docker.io/library/app",
    "docker.io/r.io/app",
    "localhost:5000/a/b",
    "docker.io/0000000000000000000000000000000000000000000000000000000000000000",
    "app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "../../outside",
    "",
    ":",
    "no name at all",
];

/// Feeds it one input.
pub fn run(input: &[u8]) {
    thread_local! {
        static CAGE: RefCell<Option<Rc<Cage>>> = const { RefCell::new(None) };
    }
    let cage =
        CAGE.with_borrow_mut(|cage| cage.get_or_insert_with(|| Rc::new(Cage::new())).clone());
    let Ok(archive) = archive(&mut Unstructured::new(input)) else {
        return;
    };
    let file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).expect("a file"));
    file.write_all_at(&archive, 0).expect("to be written");
    let dir = cage.inside().join("store");
    let store = Store::new(&dir);
    let how = Loading {
        choice: Choice::All,
        naming: Naming::AsTheyCome,
        limits: LIMITS,
        progress: &NoProgress,
    };
    allocation::limited(MAX_ALLOCATED_BYTES, || {
        if let Ok(loaded) = store.load_stream(file, Path::new("archive"), &how) {
            assert_there(&store, &loaded);
        }
        store.list().expect("a store that can be listed");
    });
    cage.assert_untouched();
    remove(&dir).expect("to be removed");
}

/// What was loaded is found by its ID, and by each of its names, which may be another's by now.
fn assert_there(store: &Store, loaded: &[Loaded]) {
    for image in loaded {
        let found = store.find_by_id(image.id).expect("to be read");
        assert!(found.is_some(), "{} is not there", image.id);
        for name in &image.names {
            let found = store.find(name).expect("to be read");
            assert!(found.is_some(), "{name} is not there");
            let again: Reference = name.to_string().parse().expect("a name");
            assert_eq!(again, *name);
        }
    }
}

/// Files of an archive, by their names.
#[derive(Default)]
struct Files(Vec<u8>);

impl Files {
    fn add(&mut self, name: &str, content: &[u8]) {
        let mut header = Header::new_ustar();
        let field = &mut header.as_old_mut().name;
        let length = field.len().min(name.len());
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// Adds a document, once in a while a spoiled one.
    fn add_document(
        &mut self,
        u: &mut Unstructured<'_>,
        name: &str,
        document: &[u8],
    ) -> Result<()> {
        let mut document = document.to_vec();
        while seldom(u, 8)? && !document.is_empty() {
            let at = u.int_in_range(0..=document.len() - 1)?;
            match u.arbitrary()? {
                true => document[at] = u.arbitrary()?,
                false => document.truncate(at),
            }
        }
        self.add(name, &document);
        Ok(())
    }
}

/// The place of a blob in an archive of OCI's.
fn blob_path(content: &[u8]) -> String {
    BlobDigest::of(content)
        .to_string()
        .replace("sha256:", "blobs/sha256/")
}

fn descriptor(u: &mut Unstructured<'_>, kind: &str, content: &[u8]) -> Result<Value> {
    let size = match seldom(u, 8)? {
        true => number(u, 4096)?,
        false => content.len() as u64,
    };
    Ok(json!({
        "mediaType": format!("application/vnd.oci.image.{kind}"),
        "digest": BlobDigest::of(content).to_string(),
        "size": size,
    }))
}

fn archive(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut files = Files::default();
    let is_dockers: bool = u.arbitrary()?;
    let mut listed = Vec::new();
    for index in 0..u.int_in_range(1..=2)? {
        let layers = (0..u.int_in_range(0..=2)?)
            .map(|_| {
                let mut entries = Unstructured::new(bytes(u, 120)?);
                layer::archive(&mut entries)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut diff_ids: Vec<_> = layers
            .iter()
            .map(|layer| BlobDigest::of(layer).to_string())
            .collect();
        if seldom(u, 8)? {
            diff_ids.reverse();
            diff_ids.truncate(u.int_in_range(0..=2)?);
        }
        let config = json!({
            "architecture": "amd64",
            "config": {
                "Env": [String::from_utf8_lossy(bytes(u, 16)?)],
                "User": *u.choose(&["", "root", "0:0", ":"])?,
                "Cmd": null,
            },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        })
        .to_string();
        let names = (0..u.int_in_range(0..=2)?)
            .map(|_| match seldom(u, 8)? {
                true => Ok(String::from_utf8_lossy(bytes(u, 40)?).into_owned()),
                false => Ok((*u.choose(&NAMES)?).to_owned()),
            })
            .collect::<Result<Vec<_>>>()?;
        if is_dockers {
            let place = |name: &str| format!("{index}/{name}");
            let paths: Vec<_> = (0..layers.len()).map(|at| place(&at.to_string())).collect();
            for (path, layer) in paths.iter().zip(&layers) {
                files.add(path, layer);
            }
            files.add_document(u, &place("config"), config.as_bytes())?;
            listed.push(json!({ "Config": place("config"), "RepoTags": names, "Layers": paths }));
            continue;
        }
        let described = layers
            .iter()
            .map(|layer| descriptor(u, "layer.v1.tar", layer))
            .collect::<Result<Vec<_>>>()?;
        for layer in &layers {
            files.add(&blob_path(layer), layer);
        }
        files.add_document(u, &blob_path(config.as_bytes()), config.as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2,
            "config": descriptor(u, "config.v1+json", config.as_bytes())?,
            "layers": described,
        })
        .to_string();
        files.add_document(u, &blob_path(manifest.as_bytes()), manifest.as_bytes())?;
        let mut image = descriptor(u, "manifest.v1+json", manifest.as_bytes())?;
        if let Some(name) = names.first() {
            image["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        listed.push(image);
    }
    if is_dockers {
        let list = Value::from(listed).to_string();
        files.add_document(u, "manifest.json", list.as_bytes())?;
    } else {
        files.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = json!({ "schemaVersion": 2, "manifests": listed }).to_string();
        files.add_document(u, "index.json", index.as_bytes())?;
    }
    let mut archive = files.0;
    archive.resize(archive.len() + 1024, 0);
    Ok(archive)
}
