use std::fs;
use std::path::Path;

use guest_images::store::{BlobDigest, Limits, Reference, Store};
use launch::{Chain, NoProgress};
use registry::{Pulled, pull};
use tempfile::TempDir;

use crate::server::{Answer, Server, descriptor};

struct World {
    dir: TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            server: Server::start(),
        }
    }

    fn store(&self) -> Store {
        Store::new(self.dir.path().join("images"))
    }

    fn name(&self) -> Reference {
        format!("{}/app:1", self.server.address).parse().unwrap()
    }

    fn pull(&self) -> Result<Pulled, String> {
        let limits = Limits::default();
        pull(&self.name(), None, &self.store(), limits, &NoProgress)
            .map_err(|error| Chain(&error).to_string())
    }

    /// What is said of a pull that must fail and leave no image.
    fn refused(&self) -> String {
        let said = self.pull().unwrap_err();
        assert!(self.store().find(&self.name()).unwrap().is_none(), "{said}");
        assert!(!said.contains('\n'), "{said}");
        self.assert_nothing_left();
        said
    }

    fn assert_nothing_left(&self) {
        for shelf in ["layers", "images"] {
            let Ok(entries) = fs::read_dir(self.store().dir().join(shelf)) else {
                continue;
            };
            let names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != ".lock" && name != "lock")
                .collect();
            assert!(names.is_empty(), "{names:?}");
        }
    }
}

/// A layer of one file, large enough to be sent in several pieces.
fn layer() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let contents: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(dir.path().join("file"), contents).unwrap();
    tar(dir.path())
}

fn tar(dir: &Path) -> Vec<u8> {
    let made = std::process::Command::new("tar")
        .args(["-c", "--sort=name", "-C"])
        .arg(dir)
        .arg(".")
        .output()
        .unwrap();
    assert!(made.status.success());
    made.stdout
}

#[test]
fn an_image_is_pulled_and_known_the_second_time() {
    let world = World::new();
    let layer = layer();
    world.server.image(&layer, Answer::Bytes(layer.clone()));
    let first = world.pull().unwrap();
    assert!(!first.was_there);
    let image = world.store().find(&world.name()).unwrap().unwrap();
    let file = image.layers.iter().map(|layer| layer.join("file"));
    let sizes: Vec<_> = file.flat_map(fs::metadata).map(|file| file.len()).collect();
    assert_eq!(sizes, [300_000]);
    let second = world.pull().unwrap();
    assert!(second.was_there);
    assert_eq!(second.id, first.id);
}

#[test]
fn a_layer_that_breaks_off_is_taken_up_where_it_broke() {
    for answer in [Answer::Broken, Answer::BrokenWithoutRanges] {
        let world = World::new();
        let layer = layer();
        world.server.image(&layer, answer(layer.clone(), 100_000));
        world.pull().unwrap();
        let digest = BlobDigest::of(&layer).to_string();
        let requests = world.server.requests.lock().unwrap();
        let asked = requests.iter().filter(|path| path.ends_with(&digest));
        assert_eq!(asked.count(), 2);
    }
}

#[test]
fn a_layer_that_always_breaks_off_is_an_error() {
    let world = World::new();
    let layer = layer();
    let sent = layer.len() - 1;
    world
        .server
        .image(&layer, Answer::Truncated(layer.clone(), sent));
    world.refused();
}

#[test]
fn a_layer_of_another_digest_is_refused() {
    let world = World::new();
    let layer = layer();
    let mut other = layer.clone();
    other[600] ^= 1;
    world.server.image(&layer, Answer::Bytes(other));
    world.refused();
}

#[test]
fn a_layer_goes_by_its_sha512_too() {
    let layer = layer();
    let digest = BlobDigest::Sha512([0; 64]).of_same_kind(&layer);
    let mut other = layer.clone();
    other[600] ^= 1;
    for (comes, is_it) in [(layer.clone(), true), (other, false)] {
        let world = World::new();
        let answer = Answer::Bytes(comes);
        world.server.image_by(digest, &layer, answer);
        match is_it {
            true => drop(world.pull().unwrap()),
            false => drop(world.refused()),
        }
    }
}

#[test]
fn a_manifest_is_asked_for_by_its_sha512_too() {
    let world = World::new();
    let config = world.server.blob(br#"{"rootfs":{"diff_ids":[]}}"#);
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config}}}"#).into_bytes();
    let digest = BlobDigest::Sha512([0; 64]).of_same_kind(&manifest);
    let name = format!("{}/app@{digest}", world.server.address);
    let name: Reference = name.parse().unwrap();
    let path = format!("manifests/{digest}");
    let pull = |comes: &[u8]| {
        world.server.answer(&path, Answer::Bytes(comes.to_vec()));
        pull(&name, None, &world.store(), Limits::default(), &NoProgress)
    };
    assert!(pull(&[&manifest[..], b" "].concat()).is_err());
    assert_eq!(pull(&manifest).unwrap().manifest, digest);
    assert!(pull(&manifest).unwrap().was_there);
}

#[test]
fn a_layer_that_is_longer_than_promised_is_refused() {
    let world = World::new();
    let layer = layer();
    world.server.image(&layer, Answer::Endless);
    world.refused();
}

#[test]
fn a_configuration_of_another_digest_is_refused() {
    let world = World::new();
    let config = br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let promised = descriptor(b"another");
    let path = format!("blobs/{}", BlobDigest::of(b"another"));
    world.server.answer(&path, Answer::Bytes(config.to_vec()));
    let manifest = format!(r#"{{"schemaVersion":2,"config":{promised},"layers":[]}}"#);
    world
        .server
        .answer("manifests/1", Answer::Bytes(manifest.into()));
    world.refused();
}

#[test]
fn a_list_that_leads_to_itself_is_an_error() {
    let world = World::new();
    let mut list = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    for _ in 0..5 {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            descriptor(&list)
        );
        let path = format!("manifests/{}", BlobDigest::of(&list));
        world.server.answer(&path, Answer::Bytes(list));
        list = text.into_bytes();
    }
    world.server.answer("manifests/1", Answer::Bytes(list));
    assert!(world.refused().contains("from one list"));
}

#[test]
fn an_image_for_another_machine_is_an_error_that_says_for_which() {
    let world = World::new();
    let entry =
        descriptor(b"x").replace('}', r#","platform":{"os":"linux","architecture":"s390x"}}"#);
    let list = format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
    world
        .server
        .answer("manifests/1", Answer::Bytes(list.into()));
    assert!(world.refused().contains("s390x"));
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let world = World::new();
    let said = world.refused();
    assert!(said.contains(&world.server.address), "{said}");
}

#[test]
fn a_registry_that_fails_is_named() {
    let world = World::new();
    for answer in [Answer::Error(500, "x"), Answer::EndlessError(500)] {
        world.server.answer("manifests/1", answer);
        let said = world.refused();
        let expected = format!("{} answers 500", world.server.address);
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn a_manifest_without_an_end_is_refused_before_it_is_in_memory() {
    let world = World::new();
    world.server.answer("manifests/1", Answer::Endless);
    let said = world.refused();
    assert!(said.contains("has more than 4194304 bytes"), "{said}");
}

#[test]
fn what_a_registry_says_of_a_layer_is_not_repeated() {
    for words in [
        "no\n\x1b[31msuch layer",
        r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"no\n\u001b[31msuch layer"}]}"#,
    ] {
        let world = World::new();
        world.server.image(&layer(), Answer::Error(404, words));
        let said = world.refused();
        assert!(said.contains("layer 1 of 1 from"), "{said}");
        assert!(
            !said.contains("such layer") && !said.contains('\x1b'),
            "{said}"
        );
    }
}

#[test]
fn an_error_without_an_end_is_not_read() {
    for code in [404, 500] {
        let world = World::new();
        world.server.image(&layer(), Answer::EndlessError(code));
        let said = world.refused();
        assert!(said.contains(&format!("it answers {code}")), "{said}");
        world.server.tokens(Answer::EndlessError(code));
        world.refused();
    }
}

#[test]
fn a_token_without_an_end_is_refused_before_it_is_in_memory() {
    let world = World::new();
    world.server.tokens(Answer::Endless);
    let said = world.refused();
    assert!(said.contains("has more than 1048576 bytes"), "{said}");
}

#[test]
fn what_is_no_token_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"token":1}"#,
        r#"{"token":"a\nb"}"#,
        "\u{0}",
    ] {
        let world = World::new();
        world.server.image(&layer(), Answer::Bytes(layer()));
        world.server.tokens(Answer::Bytes(text.into()));
        world.refused();
    }
}

#[test]
fn a_token_that_has_become_too_old_is_renewed() {
    let world = World::new();
    let token = |text: &str| Answer::Bytes(text.into());
    let tokens = [r#"{"token":"first"}"#, r#"{"access_token":"second"}"#];
    world
        .server
        .tokens(Answer::InTurn(tokens.map(token).into()));
    let layer = layer();
    let guarded = Answer::ForToken("second", layer.clone());
    world.server.image(&layer, guarded);
    world.pull().unwrap();
    let requests = world.server.requests.lock().unwrap();
    let asked = requests.iter().filter(|path| path.starts_with("/token"));
    let scope = "/token?service=s&scope=repository%3Aapp%3Apull";
    assert_eq!(asked.collect::<Vec<_>>(), [scope; 2]);
}

#[test]
fn a_token_that_is_never_taken_is_no_way_in() {
    let world = World::new();
    world
        .server
        .tokens(Answer::Bytes(r#"{"token":"x"}"#.into()));
    let layer = layer();
    world
        .server
        .image(&layer, Answer::ForToken("y", layer.clone()));
    assert!(world.refused().contains("refuses"));
}

#[test]
fn what_is_no_manifest_is_refused() {
    for text in ["", "{}", "[]", "null", "{\"schemaVersion\":1}", "\u{0}"] {
        let world = World::new();
        world
            .server
            .answer("manifests/1", Answer::Bytes(text.into()));
        world.refused();
    }
}
