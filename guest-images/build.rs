//! Gathers what the library carries: the kernel's patches, the guest's PID 1, in the archive that a
//! guest's kernel unpacks, and what the image `probe` runs: static programs with flags of their own and
//! so built by a cargo of its own.

#[path = "build/archive.rs"]
mod archive;

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The programs: their packages, and the names that they get here.
const PROGRAMS: [(&str, &str); 2] = [("jaula-init", "init"), ("jaula-probe", "probe")];

/// What of the outer build is in the environment and must not reach this one: flags, profile and
/// target directory, and what `cargo clippy` puts before the compiler.
const NOT_INHERITED: [&str; 10] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_",
];

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = env::var("OUT_DIR")?;
    let out_dir = Path::new(&out_dir);
    list_patches(out_dir)?;
    build_programs(out_dir)?;
    archive_init(out_dir)
}

/// Writes an expression that holds the kernel patches: names and texts, sorted by name.
fn list_patches(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=kernel/patches");
    let dir = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("kernel/patches");
    let mut patches = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            patches.push(path);
        }
    }
    patches.sort();
    let mut list = String::from("&[\n");
    for path in patches {
        let name = path.file_name().unwrap_or_default();
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push_str("]\n");
    fs::write(out_dir.join("kernel-patches.rs"), list)?;
    Ok(())
}

fn build_programs(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    for changed in [
        "init",
        "probe",
        "protocol",
        "../entry",
        "../launch",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={changed}");
    }

    let mut cargo = Command::new(env::var("CARGO")?);
    for (name, _) in env::vars_os() {
        let is_outer = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if NOT_INHERITED.iter().any(is_outer) {
            cargo.env_remove(&name);
        }
    }
    let target_dir = out_dir.join("programs-target");
    let packages = PROGRAMS
        .iter()
        .flat_map(|(package, _)| ["--package", package]);
    let status = cargo
        .args(["build", "--release", "--locked"])
        .args(packages)
        // With a target named, the flags are for it alone and not for procedural macros.
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        // No libraries in a guest, and no relocations: each page that they touch is a fault. No
        // index of unwind tables: nothing unwinds.
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C relocation-model=static \
             -C link-arg=-Wl,--no-eh-frame-hdr",
        )
        // Small: the guest's kernel copies every byte of it.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .status()?;
    if !status.success() {
        return Err(format!("building the guest's programs failed ({status})").into());
    }
    for (package, name) in PROGRAMS {
        let built = target_dir.join(TARGET).join("release").join(package);
        fs::copy(built, out_dir.join(name))?;
    }
    Ok(())
}

/// Writes the archive, its digest, and where in it the program stands.
fn archive_init(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let init = fs::read(out_dir.join("init"))?;
    let archive = archive::of_init(&init);
    fs::write(out_dir.join("init.cpio"), &archive.bytes)?;
    fs::write(
        out_dir.join("init.cpio.sha256"),
        Sha256::digest(&archive.bytes),
    )?;
    let place = format!("({}, {})", archive.init_start, init.len());
    Ok(fs::write(out_dir.join("init-place.rs"), place)?)
}
