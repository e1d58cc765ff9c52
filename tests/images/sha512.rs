//! Images whose documents name each other by SHA-512.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::oci::{Layout, busybox, write};
use crate::harness::refused::assert_refused;
use crate::harness::{World, see};
use crate::layers;

/// Puts SHA-512 in the place of all digests of a layout.
fn rename(world: &World, layout: &Layout) {
    let root = Path::new(layout.path());
    let index_file = root.join("index.json");
    let mut index = document(&index_file);
    let blob = |digest: &Value| {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        root.join("blobs/sha256").join(hex)
    };
    let manifest_file = blob(&index["manifests"][0]["digest"]);
    let mut manifest = document(&manifest_file);
    let mut config = document(&blob(&manifest["config"]["digest"]));

    let layers = manifest["layers"].as_array_mut().unwrap();
    let diff_ids = config["rootfs"]["diff_ids"].as_array_mut().unwrap();
    for (layer, diff_id) in layers.iter_mut().zip(diff_ids) {
        let bytes = fs::read(blob(&layer["digest"])).unwrap();
        let tar = see(world.command("gzip", ["-dc"]), &bytes).stdout;
        *diff_id = json!(format!("sha512:{}", sha512(world, &tar)));
        add(world, root, layer, &bytes);
    }
    add(
        world,
        root,
        &mut manifest["config"],
        config.to_string().as_bytes(),
    );
    let manifest = manifest.to_string();
    add(world, root, &mut index["manifests"][0], manifest.as_bytes());
    fs::write(index_file, index.to_string()).unwrap();
    fs::remove_dir_all(root.join("blobs/sha256")).unwrap();
}

/// Adds a blob, which `descriptor` describes then.
fn add(world: &World, root: &Path, descriptor: &mut Value, bytes: &[u8]) {
    let hex = sha512(world, bytes);
    let blobs = root.join("blobs/sha512");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(&hex), bytes).unwrap();
    descriptor["digest"] = json!(format!("sha512:{hex}"));
    descriptor["size"] = json!(bytes.len());
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn sha512(world: &World, bytes: &[u8]) -> String {
    let said = see(world.command("sha512sum", []), bytes).stdout_text();
    said.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_image_may_name_its_parts_by_sha512() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(busybox);
    layout.layer(|root| write(root, "etc/greeting", "hello"));
    rename(&world, &layout);
    let image = format!("oci:{}", layout.path());
    let seen = world.run(["run", &image, "cat", "/etc/greeting"]);
    assert_eq!(
        (seen.stdout_text().as_str(), seen.stderr.as_str()),
        ("hello", "")
    );
    assert_eq!(layers(&world).len(), 2);

    let loaded = world.run(["load", "-q", "-i", layout.path()]).stdout_text();
    let removed = world.run(["rmi", loaded.trim()]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(layers(&world).is_empty());
}

#[test]
fn a_blob_that_has_not_its_sha512_is_refused() {
    if !Layout::can_be_made() {
        return;
    }
    let world = World::new();
    let mut layout = Layout::new(world.dir());
    layout.layer(busybox);
    rename(&world, &layout);
    let image = format!("oci:{}", layout.path());
    for blob in fs::read_dir(Path::new(layout.path()).join("blobs/sha512")).unwrap() {
        let blob = blob.unwrap().path();
        let whole = fs::read(&blob).unwrap();
        let mut other = whole.clone();
        match &mut other[..] {
            // Of a compressed layer the time, which says nothing of what is in it.
            [0x1f, 0x8b, _, _, time, ..] => *time ^= 1,
            // A blank more makes no other document.
            _ => other.push(b' '),
        }
        fs::write(&blob, other).unwrap();
        assert_refused(&world, &world.run(["run", &image, "true"]), &["sha512:"]);
        assert!(layers(&world).is_empty());
        fs::write(&blob, whole).unwrap();
    }
}
