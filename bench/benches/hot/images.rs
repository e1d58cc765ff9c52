//! The unpacking of a layer, and a container's preparation.

use container::ContainerLauncher;
use criterion::{BatchSize, Criterion, Throughput};
use guest_images::store::{BlobDigest, Intake, LayerBlob, Limits, Store};
use launch::fake::workload;
use launch::{CapabilitySet, Launcher, NoProgress};
use tar::{Builder, Header};

const FILES: u32 = 200;
const FILE_BYTES: usize = 8 << 10;

pub fn all(criterion: &mut Criterion) {
    layer(criterion);
    preparation(criterion);
}

/// Into memory, so that no disk is measured.
fn layer(criterion: &mut Criterion) {
    let archive = archive().expect("an archive");
    let blob = LayerBlob {
        digest: None,
        size: archive.len() as u64,
        diff_id: BlobDigest::of(&archive),
    };
    let mut group = criterion.benchmark_group("image");
    group.throughput(Throughput::Elements(FILES.into()));
    group.bench_function(format!("unpack {FILES} files of 8 KiB"), |bencher| {
        bencher.iter_batched_ref(
            || tempfile::tempdir_in("/dev/shm").expect("a directory in memory"),
            |dir| {
                let store = Store::new(dir.path());
                let intake = Intake::new(Limits::default(), &NoProgress);
                store
                    .add_layer(&blob, &mut archive.as_slice(), &intake)
                    .expect("a layer")
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn archive() -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for file in 0..FILES {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(FILE_BYTES as u64);
        let content = vec![file as u8; FILE_BYTES];
        builder.append_data(
            &mut header,
            format!("dir{}/file{file}", file % 10),
            &content[..],
        )?;
    }
    builder.into_inner()
}

/// What is done before a launch: with the usual capabilities the filter was compiled before, with
/// others it is compiled.
fn preparation(criterion: &mut Criterion) {
    let root = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let launcher = ContainerLauncher::new(root.path().join("run"));
    let mut usual = workload();
    usual.root.layers = launch::Layers::new(root.path().to_path_buf(), Vec::new());
    let mut other = usual.clone();
    other.security.capabilities = CapabilitySet::NONE;
    let mut group = criterion.benchmark_group("container");
    for (name, workload) in [
        ("prepare", &usual),
        ("prepare, and compile its filter", &other),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                launcher
                    .prepare(workload, &NoProgress)
                    .expect("to be prepared")
            });
        });
    }
    group.finish();
}
