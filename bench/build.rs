//! Counts the lines of our own that an instance's isolation rests on, for reports.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// What runs on the host while an instance does, whichever side it is.
const BOTH: [&str; 3] = ["launch", "host", "network"];
const CONTAINER: [&str; 2] = ["container", "entry"];
const VM: [&str; 2] = ["vmm", "guest-images/protocol"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root).parent().ok_or("it has no workspace")?;
    for (name, own) in [("CONTAINER", CONTAINER), ("VM", VM)] {
        let mut lines = 0;
        for member in BOTH.iter().chain(&own) {
            let sources = root.join(member).join("src");
            println!("cargo::rerun-if-changed={}", sources.display());
            lines += lines_below(&sources)?;
        }
        println!("cargo::rustc-env=JAULA_LINES_{name}={lines}");
    }
    Ok(())
}

fn lines_below(dir: &Path) -> Result<usize, Box<dyn Error>> {
    let mut lines = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if name == "tests" || name == "tests.rs" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            lines += lines_below(&path)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            lines += lines_of(&fs::read_to_string(path)?);
        }
    }
    Ok(lines)
}

/// Those of code: not empty, no comment, no test. Tests are at the end of a file here.
fn lines_of(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}
