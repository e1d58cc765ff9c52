use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use launch::Digest;
use sha2::{Digest as _, Sha256};

use super::KernelError;
use super::recipe::{PATCHES, Processors, VARIABLES};
use crate::debian_tool::{Tool, ToolError};

/// Debian's kernel source.
pub(super) const SOURCE: &str = "/usr/src/linux-source-6.12.tar.xz";

/// The package that holds it.
pub(super) const SOURCE_PACKAGE: &str = "linux-source-6.12";

/// The compiler that the kernel's makefile takes.
pub(super) const GCC: Tool = Tool {
    program: "gcc",
    package: "gcc",
};

/// The file in a kernel's cache entry that says what it was made from.
pub(super) const INPUTS: &str = "inputs";

/// What a kernel is made from, as the lines of a text whose digest is the kernel's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    text: String,
    processors: Processors,
}

impl Inputs {
    /// The inputs that a build here would have; `None` if there is no source or no compiler.
    ///
    /// The source is told by its size and its modification time, which come from the Debian
    /// package: they name its version, and no 150 MB have to be read at each launch.
    pub(super) fn of_this_machine(processors: Processors) -> Result<Option<Self>, KernelError> {
        let source = match fs::metadata(SOURCE) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KernelError::io("read", Path::new(SOURCE))(error)),
        };
        let compiler = match GCC.run(["--version"]) {
            Ok(output) => output.stdout,
            Err(ToolError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let compiler = String::from_utf8_lossy(&compiler);
        let text = format!(
            "{}\nsource {SOURCE} {} {}\ncompiler {}\n",
            recipe_line(processors),
            source.size(),
            source.mtime(),
            compiler.lines().next().unwrap_or_default(),
        );
        Ok(Some(Self { text, processors }))
    }

    /// What a kernel made from these is kept under.
    pub(super) fn name(&self) -> Digest {
        Digest::from_bytes(&Sha256::digest(&self.text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn processors(&self) -> Processors {
        self.processors
    }
}

/// Whether the kernel whose inputs are in this file was made by the recipe of this library, for so
/// many processors.
pub(super) fn are_of_this_recipe(inputs: &Path, processors: Processors) -> bool {
    fs::read_to_string(inputs)
        .is_ok_and(|inputs| inputs.lines().next() == Some(recipe_line(processors).as_str()))
}

fn recipe_line(processors: Processors) -> String {
    let mut text = format!("{}\0", processors.fragment());
    for (name, value) in PATCHES.iter().chain(&VARIABLES) {
        // Writing to a string does not fail.
        let _ = write!(text, "{name}\0{value}\0");
    }
    format!("recipe {}", Digest::from_bytes(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_kernel_of_another_recipe_is_told_from_ours() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(INPUTS);
        for processors in Processors::ALL {
            let own = recipe_line(processors);
            for (inputs, ours) in [
                (format!("{own}\nsource x\n"), true),
                ("recipe 00\nsource x\n".into(), false),
                (String::new(), false),
            ] {
                fs::write(&path, inputs).unwrap();
                assert_eq!(are_of_this_recipe(&path, processors), ours);
            }
            assert!(!are_of_this_recipe(&dir.path().join("missing"), processors));
        }
    }

    #[test]
    fn a_kernel_for_several_processors_is_another() {
        let [one, several] = Processors::ALL.map(recipe_line);
        assert_ne!(one, several);
    }
}
