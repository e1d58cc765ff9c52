//! The store as those who fill it and those who run from it see it.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use launch::NoProgress;
use tempfile::TempDir;

use super::*;

/// A layer's archive with these files.
pub(super) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        let is_dir = path.ends_with('/');
        header.set_entry_type(if is_dir {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_size(contents.len() as u64);
        header.set_mode(if is_dir { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        // Names that no honest program writes, too.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, contents.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(super) fn blob_of(tar: &[u8], blob: &[u8]) -> LayerBlob {
    LayerBlob {
        digest: Some(BlobDigest::of(blob)),
        size: blob.len() as u64,
        diff_id: BlobDigest::of(tar),
    }
}

pub(super) fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| format!("{:?}", BlobDigest::of(layer).to_string()))
        .collect();
    format!(
        r#"{{"architecture":"amd64","created":"2026-01-02T03:04:05Z","config":{{"Cmd":["sh"]}},
            "rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    )
    .into_bytes()
}

/// Adds an image of these layers.
pub(super) fn add(store: &Store, name: &str, layers: &[&[u8]]) -> BlobDigest {
    let intake = Intake::new(Limits::default(), &NoProgress);
    let held: Vec<_> = layers
        .iter()
        .map(|layer| {
            let mut reader = *layer;
            store.add_layer(&blob_of(layer, layer), &mut reader, &intake)
        })
        .collect::<Result<_, _>>()
        .unwrap();
    let name = name.parse().unwrap();
    store
        .add_image(Some(&name), None, &config_of(layers), &held)
        .unwrap()
}

pub(super) fn store() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::new(dir.path().join("images"));
    (dir, store)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refused(bytes: &[u8], blob: &LayerBlob) -> String {
    let (_dir, store) = store();
    let intake = Intake::new(Limits::default(), &NoProgress);
    let mut reader = bytes;
    let error = store.add_layer(blob, &mut reader, &intake).unwrap_err();
    let layers: Vec<_> = fs::read_dir(store.dir().join("layers")).unwrap().collect();
    assert!(layers.is_empty(), "{layers:?}");
    launch::Chain(&error).to_string()
}

#[test]
fn a_layer_is_unpacked_whatever_it_is_compressed_with() {
    let layer = tar(&[("a", "contents")]);
    let twice = [gzip(&layer[..700]), gzip(&layer[700..])].concat();
    let zstd = zstd::encode_all(&layer[..], 1).unwrap();
    // RFC 8878, section 3.1.2: a frame to be skipped.
    let skipped = [&zstd[..], b"\x50\x2a\x4d\x18\x02\0\0\0xx"].concat();
    for blob in [layer.clone(), gzip(&layer), twice, zstd, skipped] {
        let (_dir, store) = store();
        let intake = Intake::new(Limits::default(), &NoProgress);
        let promised = blob_of(&layer, &blob);
        let added = store.add_layer(&promised, &mut &blob[..], &intake).unwrap();
        let contents = fs::read_to_string(added.tree().join("a")).unwrap();
        assert_eq!(contents, "contents");
    }
}

#[test]
fn what_is_not_what_was_promised_is_not_kept() {
    let layer = tar(&[("a", "contents")]);
    let zipped = gzip(&layer);
    let promised = blob_of(&layer, &zipped);
    let other = BlobDigest::of(b"other");
    let said = refused(
        &zipped,
        &LayerBlob {
            diff_id: other,
            ..promised.clone()
        },
    );
    assert_eq!(
        said,
        format!("the layer {other} unpacks to {}", promised.diff_id)
    );
    let wrong = LayerBlob {
        digest: Some(other),
        ..promised.clone()
    };
    assert!(refused(&zipped, &wrong).starts_with(&format!("the layer {other} of")));
    let longer = [&zipped[..], b"x"].concat();
    refused(&longer, &promised);
    for length in [0, 1, 5, zipped.len() / 2, zipped.len() - 1] {
        refused(&zipped[..length], &promised);
    }
    refused(&layer[..700], &blob_of(&layer, &layer));
    for length in [515, 1100] {
        refused(&layer[..length], &blob_of(&layer, &layer));
    }
    refused(
        b"neither compressed nor an archive".repeat(99).as_slice(),
        &promised,
    );
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let (_dir, store) = store();
    let limits = Limits {
        bytes: 100_000,
        entries: 10,
    };
    let zeros = [tar(&[("zeros", "")]), vec![0; 1 << 20]].concat();
    for bomb in [gzip(&zeros), zstd::encode_all(&zeros[..], 19).unwrap()] {
        let blob = blob_of(b"", &bomb);
        let intake = Intake::new(limits, &NoProgress);
        let error = store.add_layer(&blob, &mut &bomb[..], &intake).unwrap_err();
        let said = launch::Chain(&error).to_string();
        assert!(
            said.ends_with("the image unpacks to more than 100000 bytes"),
            "{said}"
        );
    }
    let many: Vec<_> = (0..11).map(|it| it.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    for files in [&many[..], &[("1/2/3/4/5/6/7/8/9/10/11", "")]] {
        let layer = tar(files);
        let intake = Intake::new(limits, &NoProgress);
        let blob = blob_of(&layer, &layer);
        let error = store
            .add_layer(&blob, &mut &layer[..], &intake)
            .unwrap_err();
        let said = launch::Chain(&error).to_string();
        assert!(said.ends_with("the image has more than 10 files"), "{said}");
    }
}

#[test]
fn images_share_layers_and_removing_one_leaves_the_others() {
    let (_dir, store) = store();
    let (base, one, two) = (tar(&[("b", "")]), tar(&[("1", "")]), tar(&[("2", "")]));
    let first = add(&store, "first", &[&base, &one]);
    add(&store, "second", &[&base, &two]);
    assert_eq!(store.layers().all().unwrap().len(), 3);
    let removed = store.remove("first", false).unwrap();
    let name: Reference = "first".parse().unwrap();
    assert_eq!(removed, [Removed::Name(name), Removed::Image(first)]);
    assert_eq!(store.layers().all().unwrap().len(), 2);
    let second = store.find(&"second".parse().unwrap()).unwrap().unwrap();
    assert_eq!(second.layers.len(), 2);
    assert!(second.layers[0].join("2").exists() && second.layers[1].join("b").exists());
}

#[test]
fn an_image_in_use_stays_and_one_that_has_another_name_only_loses_one() {
    let (_dir, store) = store();
    let layer = tar(&[("a", "")]);
    let id = add(&store, "one", &[&layer]);
    add(&store, "two:x", &[&layer]);
    let held = store.find(&"one".parse().unwrap()).unwrap().unwrap();
    assert!(matches!(
        store.remove(&id.short(), false),
        Err(RemoveError::Named { names: 2, .. })
    ));
    assert!(matches!(
        store.remove(&id.short(), true),
        Err(RemoveError::InUse(_))
    ));
    assert_eq!(store.remove("one", false).unwrap().len(), 1);
    assert!(matches!(
        store.remove("two:x", false),
        Err(RemoveError::InUse(_))
    ));
    assert!(matches!(
        store.remove("one", false),
        Err(RemoveError::NoImage(_))
    ));
    drop(held);
    store.remove(&id.short(), false).unwrap();
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.layers().all().unwrap(), []);
}

#[test]
fn a_name_goes_to_the_image_that_got_it_last() {
    let (_dir, store) = store();
    let (old, new) = (tar(&[("old", "")]), tar(&[("new", "")]));
    let old_id = add(&store, "a", &[&old]);
    let new_id = add(&store, "a", &[&new]);
    let list = store.list().unwrap();
    let shown: Vec<_> = list.iter().map(|it| (it.name.is_some(), it.id)).collect();
    assert_eq!(shown, [(true, new_id), (false, old_id)]);
}

#[test]
fn what_a_killed_process_left_is_not_found_and_is_cleared() {
    let (_dir, store) = store();
    let layer = tar(&[("a", "")]);
    let unfinished = store
        .layers()
        .dir
        .join(format!(".making-{}", BlobDigest::of(&layer).hex()));
    fs::create_dir_all(unfinished.join("tree/b")).unwrap();
    assert!(store.layer(BlobDigest::of(&layer)).unwrap().is_none());
    let dirs = || fs::read_dir(store.layers().dir).unwrap().count();
    store.sweep().unwrap();
    assert_eq!(dirs(), 0);
    fs::create_dir_all(unfinished.join("tree/b")).unwrap();
    let id = add(&store, "a", &[&layer]);
    assert_eq!(dirs(), 1);
    let image = store.find_by_id(id).unwrap().unwrap();
    assert!(!image.layers[0].join("b").exists());
}

#[test]
fn two_who_add_the_same_layer_at_once_get_the_same() {
    let (_dir, store) = store();
    let layer = tar(&[("a", "contents")]);
    let inodes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let intake = Intake::new(Limits::default(), &NoProgress);
                    let blob = blob_of(&layer, &layer);
                    let added = store.add_layer(&blob, &mut &layer[..], &intake).unwrap();
                    fs::metadata(added.tree()).unwrap().ino()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    });
    assert!(inodes.iter().all(|inode| *inode == inodes[0]));
}

#[test]
fn a_directory_that_no_layer_on_top_describes_looks_as_beneath() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = store();
    let mut base = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o1711);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    base.append_data(&mut header, "a/b/", &b""[..]).unwrap();
    let base = base.into_inner().unwrap();
    let upper = tar(&[("a/b/c", "")]);
    let hidden = tar(&[("a/.wh.b", ""), ("a/b/d", "")]);
    add(&store, "seen", &[&base, &upper]);
    let image = store.find(&"seen".parse().unwrap()).unwrap().unwrap();
    assert_eq!(image.layers.len(), 3);
    let b = fs::metadata(image.layers[0].join("a/b")).unwrap();
    assert_eq!((b.permissions().mode() & 0o7777, b.mtime()), (0o1711, 7));
    add(&store, "hidden", &[&base, &hidden]);
    let image = store.find(&"hidden".parse().unwrap()).unwrap().unwrap();
    assert_eq!(image.layers.len(), 2, "what is hidden does not matter");
}

#[test]
fn an_archive_that_ends_with_its_last_file_is_whole() {
    let dir = TempDir::new().unwrap();
    let store = Store::new(dir.path().join("images"));
    let mut layer = tar(&[("file", "contents")]);
    // A header, and eight bytes.
    layer.truncate(512 + 8);
    add(&store, "a", &[&layer]);
    let image = store.find(&"a".parse().unwrap()).unwrap().unwrap();
    let found = image.layers.iter().map(|layer| layer.join("file"));
    let found: Vec<_> = found.flat_map(fs::read_to_string).collect();
    assert_eq!(found, ["contents"]);
}
