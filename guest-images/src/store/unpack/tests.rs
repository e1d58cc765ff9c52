//! What archives become, honest ones and others.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::super::limits::Limits;
use super::*;

/// An archive that is written entry by entry.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    /// An entry whose header `change` may spoil.
    fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        link: &str,
        data: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(if kind == EntryType::Directory {
            0o755
        } else {
            0o644
        });
        header.set_uid(rustix::process::geteuid().as_raw().into());
        header.set_gid(rustix::process::getegid().as_raw().into());
        header.set_mtime(1_000_000);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        // By hand: the crate refuses names that no honest program writes.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn plain(self, path: &str, kind: EntryType, link: &str, data: &[u8]) -> Self {
        self.entry(path, kind, link, data, |_| {})
    }

    fn file(self, path: &str, data: &str) -> Self {
        self.plain(path, EntryType::Regular, "", data.as_bytes())
    }

    fn dir(self, path: &str) -> Self {
        self.plain(path, EntryType::Directory, "", b"")
    }

    fn symlink(self, path: &str, target: &str) -> Self {
        self.plain(path, EntryType::Symlink, target, b"")
    }

    fn link(self, path: &str, target: &str) -> Self {
        self.plain(path, EntryType::Link, target, b"")
    }

    fn device(self, path: &str, major: u32, minor: u32) -> Self {
        self.entry(path, EntryType::Char, "", b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let mut length = key.len() + value.len() + 4;
            while key.len() + value.len() + 3 + length.to_string().len() != length {
                length += 1;
            }
            data.extend(format!("{length} {key}=").bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        self.plain("pax", EntryType::XHeader, "", &data)
    }
}

/// A directory to unpack to, and beside it what must not be touched.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("layer")).unwrap();
        fs::write(dir.path().join("outside"), "outside").unwrap();
        Self { dir }
    }

    fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    fn unpack(&self, archive: Writer) -> Result<Unpacked, String> {
        self.unpack_bytes(&archive.0)
    }

    fn unpack_bytes(&self, archive: &[u8]) -> Result<Unpacked, String> {
        let budget = Budget::new(Limits::default());
        let privileges = Privileges::of_this_process();
        let unpacked = unpack(archive, &self.layer(), privileges, &budget);
        // Whatever is in the archive, nothing else than the layer is written to.
        let outside = self.dir.path().join("outside");
        assert_eq!(fs::read_to_string(outside).unwrap(), "outside");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2);
        unpacked
            .map(|(unpacked, _)| unpacked)
            .map_err(|error| launch::Chain(&error).to_string())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.layer().join(path)).unwrap()
    }

    fn metadata(&self, path: &str) -> fs::Metadata {
        fs::symlink_metadata(self.layer().join(path)).unwrap()
    }

    fn is_whiteout(&self, path: &str) -> bool {
        let metadata = self.metadata(path);
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }

    fn is_opaque(&self, path: &str) -> bool {
        use std::os::fd::AsFd;
        is_opaque(File::open(self.layer().join(path)).unwrap().as_fd()).unwrap()
    }
}

fn writer() -> Writer {
    Writer::default()
}

#[test]
fn what_leads_out_is_refused_by_its_name() {
    let device = |path: &str| writer().device(path, 0, 0);
    for (archive, said) in [
        (
            writer().file("../outside", "x"),
            "can't unpack ../outside: it leads out",
        ),
        (
            writer().file("a/../../outside", "x"),
            "it leads out of the image",
        ),
        (
            writer().file("/../outside", "x"),
            "can't unpack /../outside: it leads out",
        ),
        (writer().dir(".."), "it leads out of the image"),
        (
            writer().symlink(".", "/"),
            "can't unpack .: it leads out of the image",
        ),
        (
            writer().link("a", "../outside"),
            "it leads out of the image",
        ),
        (
            writer().link("a", "/../outside"),
            "it leads out of the image",
        ),
        (
            writer().symlink("up", "../..").link("a", "up/outside"),
            "it links to up/outside, which its layer does not have",
        ),
        (
            writer().link("a", "missing"),
            "which its layer does not have",
        ),
        (
            writer().link("a", "no/such/dir"),
            "which its layer does not have",
        ),
        (
            writer().dir("d").link("a", "d"),
            "which its layer does not have",
        ),
        (
            writer().file(".wh...", ""),
            "can't unpack .wh...: it deletes",
        ),
        (
            writer().file(".wh..", ""),
            "it deletes no file that there could be",
        ),
        (
            writer().file("a/.wh.", ""),
            "it deletes no file that there could be",
        ),
        (device("a"), "a device 0:0 would delete what is beneath it"),
        (
            writer().symlink("ln", "../../outside").file("ln/a", "x"),
            "can't unpack ln/a: it lies behind a link that leads nowhere",
        ),
        (
            writer().file("f", "").file("f/a", "x"),
            "it lies in what is no directory",
        ),
    ] {
        let world = World::new();
        let error = world.unpack(archive).unwrap_err();
        assert!(error.contains(said), "{error:?} does not say {said:?}");
    }
}

#[test]
fn a_link_to_the_hosts_root_leads_to_the_layers() {
    let world = World::new();
    let to_root = world.dir.path().to_str().unwrap().to_owned();
    let archive = writer()
        .dir("real")
        .symlink("host", &to_root)
        .symlink("up", "../../../../real")
        .file("up/a", "inside");
    world.unpack(archive).unwrap();
    assert_eq!(world.read("real/a"), "inside");
    let world = World::new();
    let error = world.unpack(writer().symlink("host", &to_root).file("host/a", "x"));
    assert!(error.unwrap_err().contains("can't unpack host/a"));
}

#[test]
fn a_name_is_one_of_the_layer_however_it_begins() {
    let world = World::new();
    let archive = writer()
        .dir("/")
        .file("/etc/a", "a")
        .file("./etc/b", "b")
        .file("etc/x/../c", "c")
        .file("//etc/./.wh.d", "")
        .link("/etc/e", "/x/../etc/a");
    let unpacked = world.unpack(archive).unwrap();
    for (path, contents) in [
        ("etc/a", "a"),
        ("etc/b", "b"),
        ("etc/c", "c"),
        ("etc/e", "a"),
    ] {
        assert_eq!(world.read(path), contents);
    }
    assert!(world.is_whiteout("etc/d"));
    assert_eq!(unpacked.implicit, ["etc".into()].into());
}

#[test]
fn a_link_that_is_replaced_is_not_written_through() {
    let world = World::new();
    symlink("../outside", world.layer().join("a")).unwrap();
    world.unpack(writer().file("a", "inside")).unwrap();
    assert_eq!(world.read("a"), "inside");
    assert!(world.metadata("a").is_file());
}

#[test]
fn deletions_become_overlayfs_own() {
    let world = World::new();
    let archive = writer()
        .dir("a")
        .file("a/.wh.gone", "")
        .file("b/.wh..wh..opq", "")
        .file("b/kept", "")
        .file(".wh..wh.plnk", "");
    let unpacked = world.unpack(archive).unwrap();
    assert!(unpacked.deletes);
    assert!(world.is_whiteout("a/gone") && !world.is_opaque("a"));
    assert!(world.is_opaque("b") && world.read("b/kept").is_empty());
    let names = fs::read_dir(world.layer()).unwrap().count();
    assert_eq!(names, 2);
}

#[test]
fn a_layer_deletes_what_is_beneath_and_never_its_own() {
    for archive in [
        writer().file(".wh.a", "").dir("a").file("a/new", "new"),
        writer().dir("a").file("a/new", "new").file(".wh.a", ""),
        writer().file(".wh.a", "").file("a/new", "new"),
        writer().file("a/new", "new").file(".wh.a", ""),
    ] {
        let world = World::new();
        world.unpack(archive).unwrap();
        assert_eq!(world.read("a/new"), "new");
        assert!(world.is_opaque("a"));
    }
    for archive in [
        writer().file(".wh.a", "").file("a", "new"),
        writer().file("a", "new").file("a/.wh.b", ""),
        writer().file("a/.wh.b", "").file("a", "new"),
        writer().file("a", "new").file(".wh.a", ""),
    ] {
        let world = World::new();
        world.unpack(archive).unwrap();
        assert_eq!(world.read("a"), "new");
    }
}

#[test]
fn the_last_entry_of_a_name_counts() {
    let world = World::new();
    let archive = writer()
        .file("a", "first")
        .file("a", "second")
        .dir("d")
        .file("d/inner", "x")
        .file("d", "now a file")
        .file("f", "a file")
        .dir("f")
        .file("f/inner", "now a directory")
        .dir("f");
    world.unpack(archive).unwrap();
    assert_eq!(world.read("a"), "second");
    assert_eq!(world.read("d"), "now a file");
    assert_eq!(world.read("f/inner"), "now a directory");
}

#[test]
fn hard_links_are_one_file() {
    let world = World::new();
    let archive = writer()
        .file("a", "shared")
        .link("b", "a")
        .link("c", "./b")
        .link("c", "/a")
        .symlink("s", "nowhere")
        .link("t", "s");
    world.unpack(archive).unwrap();
    let inode = |path: &str| world.metadata(path).ino();
    assert_eq!((inode("a"), inode("a")), (inode("b"), inode("c")));
    assert_eq!(inode("s"), inode("t"));
    assert!(world.metadata("t").is_symlink());
}

#[test]
fn modes_times_and_attributes_are_kept() {
    let world = World::new();
    let archive = writer()
        .pax(&[
            ("mtime", b"12.000000034"),
            ("SCHILY.xattr.user.note", b"a\n\0b"),
        ])
        .entry("dir", EntryType::Directory, "", b"", |header| {
            header.set_mode(0o1511)
        })
        .entry("dir/tool", EntryType::Regular, "", b"#!", |header| {
            header.set_mode(0o6755)
        })
        .file("dir/later", "")
        .symlink("dir/link", "tool");
    world.unpack(archive).unwrap();
    let dir = world.metadata("dir");
    assert_eq!((dir.mtime(), dir.mtime_nsec()), (12, 34));
    assert_eq!(world.metadata("dir/link").mtime(), 1_000_000);
    assert_eq!(world.metadata("dir/tool").mode() & 0o7777, 0o6755);
    let wanted = if Privileges::of_this_process().is_root {
        0o1511
    } else {
        0o1711
    };
    assert_eq!(dir.mode() & 0o7777, wanted);
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(world.layer().join("dir"), "user.note", &mut value);
    assert_eq!(&value[..length.unwrap()], b"a\n\0b");
}

#[test]
fn an_image_has_no_say_in_how_layers_are_put_together() {
    let world = World::new();
    let archive = writer()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ])
        .dir("a");
    world.unpack(archive).unwrap();
    let mut list = [0; 1024];
    let length = rustix::fs::listxattr(world.layer().join("a"), &mut list).unwrap();
    assert!(!String::from_utf8_lossy(&list[..length]).contains("overlay"));
}

#[test]
fn owners_devices_and_pipes_are_roots_to_make() {
    let owned = |writer: Writer| {
        writer
            .entry("f", EntryType::Regular, "", b"", |header| {
                header.set_uid(33);
                header.set_gid(34);
            })
            .plain("p", EntryType::Fifo, "", b"")
    };
    if Privileges::of_this_process().is_root {
        let world = World::new();
        world.unpack(owned(writer().device("null", 1, 3))).unwrap();
        let file = world.metadata("f");
        assert_eq!((file.uid(), file.gid()), (33, 34));
        assert!(world.metadata("p").file_type().is_fifo());
        assert_eq!(world.metadata("null").rdev(), makedev(1, 3));
    } else {
        let error = World::new()
            .unpack(writer().device("null", 1, 3))
            .unwrap_err();
        assert!(error.contains("only root of the host may make"), "{error}");
        assert!(World::new().unpack(owned(writer())).unwrap().lost);
    }
}

#[test]
fn directories_that_nothing_describes_are_told() {
    let world = World::new();
    let archive = writer()
        .file("a/b/c", "")
        .dir("a")
        .file("d/e", "")
        .file("d", "");
    let unpacked = world.unpack(archive).unwrap();
    let implicit: Vec<_> = unpacked
        .implicit
        .iter()
        .map(|it| it.to_str().unwrap())
        .collect();
    assert_eq!(implicit, ["", "a/b"]);
    let unpacked = World::new().unpack(writer().dir("./")).unwrap();
    assert_eq!(unpacked.implicit.len(), 0);
}

#[test]
fn long_names_are_taken_in_both_ways_that_archives_have() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    for archive in [
        writer().plain("././@LongLink", EntryType::GNULongName, "", long.as_bytes()),
        writer().pax(&[("path", long.as_bytes())]),
    ] {
        let world = World::new();
        world.unpack(archive.file("short", "long")).unwrap();
        assert_eq!(world.read(&long), "long");
        assert!(!world.layer().join("short").exists());
    }
}

/// GNU tar's own, in every way that it knows.
#[test]
fn files_with_holes_are_what_they_were() {
    use std::os::unix::fs::FileExt;
    let contents = |file: &File, parts: u64| {
        file.set_len(40 << 20).unwrap();
        for part in 0..parts {
            file.write_all_at(format!("part {part}").as_bytes(), part << 20)
                .unwrap();
        }
    };
    for format in [
        "--format=gnu",
        "--sparse-version=0.0",
        "--sparse-version=0.1",
        "--sparse-version=1.0",
    ] {
        let from = TempDir::new().unwrap();
        let long = "n".repeat(150);
        // More parts than a header has place for, none at all, and a name of which the header
        // has only what was made of it.
        for (name, parts) in [("many", 40), ("none", 0), (long.as_str(), 2)] {
            contents(&File::create(from.path().join(name)).unwrap(), parts);
        }
        fs::write(from.path().join("plain"), "plain").unwrap();
        let mut tar = std::process::Command::new("tar");
        tar.args(["-c", "--sparse", format, "-C"])
            .arg(from.path())
            .arg(".");
        if format.starts_with("--sparse-version") {
            tar.arg("--format=pax");
        }
        let archive = tar.output().unwrap().stdout;
        assert!(archive.len() < 4 << 20, "tar has left out no holes");
        let world = World::new();
        world.unpack_bytes(&archive).unwrap();
        for name in ["many", "none", &long, "plain"] {
            let (was, is) = (
                fs::read(from.path().join(name)),
                fs::read(world.layer().join(name)),
            );
            assert!(was.unwrap() == is.unwrap(), "{name} with {format}");
        }
        let blocks = world.metadata("none").blocks();
        assert_eq!(blocks, 0, "holes are left to be holes");
    }
}

#[test]
fn an_attribute_that_no_file_system_takes_is_named() {
    let value = vec![b'x'; 70_000];
    let archive = writer()
        .pax(&[("SCHILY.xattr.user.large", &value)])
        .file("a", "");
    let error = World::new().unpack(archive).unwrap_err();
    let said = "can't unpack a: can't set its extended attribute user.large of 70000 bytes: ";
    assert!(error.starts_with(said), "{error}");
}

#[test]
fn a_device_that_cant_be_made_is_left_out_where_nobody_would_see_it() {
    let archive = || {
        writer()
            .device("dev/null", 1, 3)
            .device("/dev/pts/0", 136, 0)
    };
    let world = World::new();
    world.unpack(archive().file("dev/last", "")).unwrap();
    let is_root = Privileges::of_this_process().is_root;
    assert_eq!(world.layer().join("dev/null").exists(), is_root);
    assert!(world.layer().join("dev/last").exists());
}

#[test]
fn sizes_that_no_archive_has_take_no_memory_and_are_errors() {
    let huge = |header: &mut Header| header.set_size(1 << 60);
    for (archive, said) in [
        (
            writer().entry("a", EntryType::Regular, "", b"", huge),
            "unexpected end of file",
        ),
        (
            writer().entry("a", EntryType::XHeader, "", b"", huge),
            "have more than 1048576 bytes",
        ),
        (
            writer().entry("a", EntryType::GNULongName, "", b"", huge),
            "have more than",
        ),
        (
            writer().entry("a", EntryType::XGlobalHeader, "", b"", huge),
            "it can't be read",
        ),
        (
            writer()
                .pax(&[("size", b"18446744073709551615")])
                .file("a", ""),
            "can't unpack a: unexpected end of file",
        ),
        (
            writer()
                .file(&format!("{0}/{0}", "n".repeat(40)), "")
                .pax(&[("path", &[b'n'; 300])])
                .file("a", ""),
            "its name is too long",
        ),
        (
            writer().pax(&[("path", &b"n/".repeat(3000))]).file("a", ""),
            "its name is too long",
        ),
        (
            writer().pax(&[("uid", b"4294967295")]).file("a", ""),
            "its owner is no user",
        ),
        (
            writer().pax(&[("GNU.sparse.major", b"1")]).file("a", ""),
            "a: its map of holes is not well-formed",
        ),
        (
            writer()
                .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1")])
                .file("a", "xx"),
            "a: its map of holes is not well-formed",
        ),
        (
            writer()
                .pax(&[
                    ("GNU.sparse.size", b"9223372036854775807"),
                    ("GNU.sparse.map", b"0,1"),
                ])
                .file("a", "x"),
            "the image unpacks to more than 17179869184 bytes",
        ),
        (
            writer().entry("a", EntryType::GNUSparse, "", b"", |header| {
                header.as_gnu_mut().unwrap().isextended = [1];
            }),
            "a: its map of holes can't be read: failed to fill whole buffer",
        ),
        (
            writer().plain("a", EntryType::new(b'Z'), "", b""),
            "a: nothing is known of its type",
        ),
    ] {
        let error = World::new().unpack(archive).unwrap_err();
        assert!(error.contains(said), "{error:?} does not say {said:?}");
    }
}

#[test]
fn an_error_is_one_line_whatever_the_name_is() {
    let name = format!("../\n\x1b[31m{}", "n".repeat(70));
    let error = World::new().unpack(writer().file(&name, "")).unwrap_err();
    assert!(!error.chars().any(char::is_control), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_an_archive_holds_nothing_outside_is_touched(
        entries in prop::collection::vec(
            ("[ab./]{1,8}|\\.wh\\.[ab.]{0,4}", 0..6u8, "[ab./]{1,12}"), 1..12
        ),
        flipped in prop::option::of((any::<prop::sample::Index>(), 1..=255u8)),
    ) {
        let archive = entries.iter().fold(writer(), |writer, (path, kind, target)| match kind {
            0 => writer.dir(path),
            1 => writer.symlink(path, target),
            2 => writer.link(path, target),
            3 => writer.plain(path, EntryType::Fifo, "", b""),
            _ => writer.file(path, target),
        });
        let mut bytes = archive.0;
        if let Some((at, with)) = flipped {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        let _ = World::new().unpack_bytes(&bytes);
    }
}
