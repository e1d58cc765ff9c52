//! Links jaula with its relocations packed.
//!
//! A program that can be loaded anywhere writes tens of thousands of addresses into itself before
//! `main`. Packed, they are a few pages to read in place of 600 KiB, at each start. The code in the
//! C library that unpacks them is part of the program, and is there since glibc 2.36.

use std::process::Command;

/// The first glibc that unpacks them, `DT_RELR` in its release notes.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if glibc().is_some_and(|version| version >= SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library that is linked, as far as that is known.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
