//! Archives in all forms that `docker save` has had, however they come.

use std::io::{Seek, Write};

use launch::NoProgress;

use super::super::tests::{config_of, gzip, store, tar};
use super::*;

/// An archive, file by file.
struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn file(mut self, path: &str, contents: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        self.0.append_data(&mut header, path, contents).unwrap();
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn load(bytes: &[u8]) -> Result<(tempfile::TempDir, Store, Vec<Loaded>), String> {
    let (dir, store) = store();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let how = Loading {
        choice: Choice::All,
        naming: Naming::AsTheyCome,
        limits: Limits::default(),
        progress: &NoProgress,
    };
    let loaded = store.load_stream(file, Path::new("an archive"), &how);
    let loaded = loaded.map_err(|error| launch::Chain(&error).to_string())?;
    Ok((dir, store, loaded))
}

fn path_of(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", BlobDigest::of(bytes).hex())
}

/// Two layers, the second of which is the first once more.
fn layers() -> [Vec<u8>; 2] {
    [tar(&[("a", "first")]), tar(&[("a", "second")])]
}

/// Up to docker 24: a directory for each layer, and a link where two are the same.
fn old_form() -> Vec<u8> {
    let [first, second] = layers();
    let config = config_of(&[&first, &second, &first]);
    let list = br#"[{"Config":"config.json","RepoTags":["app:1","registry.example/app:2"],
        "Layers":["1/layer.tar","2/layer.tar","3/layer.tar"]}]"#;
    Archive::new()
        .file("1/VERSION", b"1.0")
        .file("1/layer.tar", &first)
        .file("2/layer.tar", &second)
        .link("3/layer.tar", "../1/layer.tar")
        .file("config.json", &config)
        .file("manifest.json", list)
        .file("repositories", b"{}")
        .bytes()
}

/// Since docker 25: an OCI layout, which has the old list, too.
fn new_form() -> Vec<u8> {
    let [first, second] = layers();
    let config = config_of(&[&first, &second, &first]);
    let of = |bytes: &[u8]| {
        let digest = BlobDigest::of(bytes);
        format!(
            r#"{{"mediaType":"m","digest":"{digest}","size":{}}}"#,
            bytes.len()
        )
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{},{},{}]}}"#,
        of(&config),
        of(&first),
        of(&second),
        of(&first)
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        of(manifest.as_bytes())
    );
    let list = format!(
        r#"[{{"Config":"{}","RepoTags":["app:1","registry.example/app:2"],
            "Layers":["{2}","{1}","{2}"],"LayerSources":null}}]"#,
        path_of(&config),
        path_of(&second),
        path_of(&first)
    );
    Archive::new()
        .file(&path_of(&first), &first)
        .file(&path_of(&second), &second)
        .file(&path_of(&config), &config)
        .file(&path_of(manifest.as_bytes()), manifest.as_bytes())
        .file("index.json", index.as_bytes())
        .file("manifest.json", list.as_bytes())
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .bytes()
}

#[test]
fn both_forms_of_docker_save_are_loaded_with_their_names() {
    for archive in [old_form(), new_form()] {
        let (_dir, store, loaded) = load(&archive).unwrap();
        let names: Vec<_> = loaded[0].names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["app:1", "registry.example/app:2"]);
        let image = store.find(&loaded[0].names[1]).unwrap().unwrap();
        let files = image.layers.iter().map(|layer| layer.join("a"));
        let files: Vec<_> = files.flat_map(std::fs::read_to_string).collect();
        assert_eq!(files, ["first", "second", "first"]);
    }
}

#[test]
fn an_archive_may_be_compressed_as_a_whole() {
    let plain = old_form();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for archive in [gzip(&plain), zstd] {
        let (_dir, _store, loaded) = load(&archive).unwrap();
        assert_eq!(loaded[0].names.len(), 2);
    }
}

#[test]
fn what_is_no_archive_of_images_is_refused_in_words() {
    let list = |text: &str| {
        Archive::new()
            .file("manifest.json", text.as_bytes())
            .bytes()
    };
    let item = r#"[{"Config":"c","Layers":["l"]}]"#;
    for (archive, said) in [
        (Vec::new(), "there is no image in it"),
        (
            Archive::new().file("a", b"").bytes(),
            "there is no image in it",
        ),
        (b"no archive".repeat(99), "can't read the archive: a header"),
        (list("[]"), "there is no image in it"),
        (list("{}"), "the manifest.json is not well-formed"),
        (list(item), "c is missing in it"),
        (
            Archive::new()
                .file("manifest.json", item.as_bytes())
                .link("c", "c")
                .bytes(),
            "can't read c: Too many levels of symbolic links",
        ),
        (
            Archive::new()
                .file("manifest.json", item.as_bytes())
                .file("c", b"{}")
                .bytes(),
            "the configuration is not well-formed",
        ),
        (
            Archive::new()
                .file("manifest.json", item.as_bytes())
                .file("c", &config_of(&[]))
                .bytes(),
            "the manifest has 1 layers, and the configuration 0",
        ),
    ] {
        let error = load(&archive).map(drop).unwrap_err();
        assert!(error.contains(said), "{error:?} does not say {said:?}");
    }
}

#[test]
fn an_archive_of_images_that_has_holes_says_how_to_write_it() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_path("layer.tar").unwrap();
    header.set_size(0);
    // It is one hole.
    header.as_gnu_mut().unwrap().realsize = *b"00000000777\0";
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, &b""[..]).unwrap();
    let error = load(&archive.into_inner().unwrap()).map(drop).unwrap_err();
    assert!(error.contains("tar --sparse"), "{error}");
}
