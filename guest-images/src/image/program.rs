//! An image of a program of this machine: it, the libraries that it needs, and what makes a file
//! system a root.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use launch::{Digest, Progress};
use sha2::{Digest as _, Sha256};

use super::elf;
use super::made::{self, BARE_DIRECTORIES, BARE_FILES};
use super::tree::{self, FileError};
use crate::cache::{Cache, CacheError};
use crate::digest::DigestError;

/// Goes up when the image is made differently from the same program.
const RECIPE: &[u8] = b"1";

/// Where a name is looked for, in this order: not in `$PATH`, so that it is the same program for
/// everybody.
const PLACES: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Why there is no image of a program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not where programs are.
    #[error("there is no program {} on this machine", Path::new(.0).display())]
    Missing(OsString),
    /// It is a script, or for another kind of machine.
    #[error("{} is no 64-bit ELF program", .0.display())]
    NotElf(PathBuf),
    /// Its loader can't say what it needs.
    #[error("can't ask {} what {} needs", loader.display(), program.display())]
    Ask {
        /// Who was asked.
        loader: PathBuf,
        /// For what.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A library is not there.
    #[error("{} needs {library}, which is not on this machine", program.display())]
    Library {
        /// The program.
        program: PathBuf,
        /// What it needs.
        library: String,
    },
    /// A library has a path that no image can have.
    #[error("{} can't be in an image", .0.display())]
    Path(PathBuf),
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was made can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl ProgramError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Missing(_) => Some("install the package that has it".into()),
            _ => None,
        }
    }
}

/// The directory with the image, made if it is not there, its digest, and the program's path in it.
pub(super) fn root(
    name: &OsStr,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(PathBuf, Digest, PathBuf), ProgramError> {
    let program = find(name)?;
    let files = files(&program)?;
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    for (path, contents) in &files {
        hash.update(Sha256::digest(path.as_os_str().as_bytes()));
        hash.update(Sha256::digest(contents));
    }
    let name = Digest::from_bytes(&hash.finalize());
    let (root, digest) = made::once(cache, &name, progress, |root| make(root, &files))?;
    Ok((root, digest, program))
}

/// A path as it is, a name where programs are.
fn find(name: &OsStr) -> Result<PathBuf, ProgramError> {
    let missing = || ProgramError::Missing(name.to_owned());
    let found = if name.as_bytes().contains(&b'/') {
        Some(PathBuf::from(name))
    } else {
        let paths = PLACES.iter().map(|place| Path::new(place).join(name));
        paths.into_iter().find(|path| path.is_file())
    };
    let path = found.ok_or_else(missing)?;
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        _ => Err(missing()),
    }
}

/// All that it needs, by path; first itself.
fn files(program: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, ProgramError> {
    let read = |path: PathBuf| {
        let contents = fs::read(&path).map_err(FileError::of("read", &path))?;
        Ok::<_, ProgramError>((path, contents))
    };
    let (program, contents) = read(program.to_owned())?;
    if !contents.starts_with(b"\x7fELF\x02") {
        return Err(ProgramError::NotElf(program));
    }
    let libraries = match elf::interpreter(&contents) {
        None => BTreeSet::new(),
        Some(loader) => libraries(Path::new(OsStr::from_bytes(loader)), &program)?,
    };
    let libraries = libraries.into_iter().map(read);
    std::iter::once(Ok((program, contents)))
        .chain(libraries)
        .collect()
}

/// What the program's own loader would load, and that itself: what `ldd` asks, without a shell.
fn libraries(loader: &Path, program: &Path) -> Result<BTreeSet<PathBuf>, ProgramError> {
    let failed = |source| ProgramError::Ask {
        loader: loader.to_owned(),
        program: program.to_owned(),
        source,
    };
    let output = Command::new(loader)
        .arg("--list")
        .arg(program)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default();
        return Err(failed(io::Error::other(format!(
            "{}: {said}",
            output.status
        ))));
    }
    let mut libraries = BTreeSet::from([loader.to_owned()]);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        libraries.extend(library(line, program)?);
    }
    Ok(libraries)
}

/// The path in a line like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)`.
fn library(line: &str, program: &Path) -> Result<Option<PathBuf>, ProgramError> {
    let line = line.trim();
    let (name, place) = line.split_once(" => ").unwrap_or((line, line));
    let path = place.rsplit_once(" (0x").map_or(place, |(path, _)| path);
    if path == "not found" {
        return Err(ProgramError::Library {
            program: program.to_owned(),
            library: name.to_owned(),
        });
    }
    // The kernel's own has no path.
    Ok(path.starts_with('/').then(|| path.into()))
}

fn make(root: &Path, files: &[(PathBuf, Vec<u8>)]) -> Result<(), ProgramError> {
    tree::make(root, BARE_DIRECTORIES, BARE_FILES)?;
    for (path, contents) in files {
        let inside = inside(path)?;
        let parents: Vec<_> = inside.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev().skip(1) {
            if !root.join(parent).is_dir() {
                tree::make_directory(&root.join(parent), 0o755)?;
            }
        }
        tree::write(&root.join(inside), contents, 0o755)?;
    }
    // Any, as long as it is the same wherever and whenever the image is made.
    Ok(tree::set_times(root, 0)?)
}

/// An absolute path without its slash, if it leads nowhere else.
fn inside(path: &Path) -> Result<&Path, ProgramError> {
    let normal = |component| matches!(component, Component::Normal(_));
    match path.strip_prefix("/") {
        Ok(inside) if inside.components().all(normal) => Ok(inside),
        _ => Err(ProgramError::Path(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_program_has_all_that_it_needs_and_is_the_same_wherever_it_is_made() {
        let dir = TempDir::new().unwrap();
        let resolve = |name: &str| {
            let cache = Cache::new(dir.path().join(name), []);
            root(OsStr::new("ls"), &cache, &NoProgress).unwrap()
        };
        let (a, b) = (resolve("a"), resolve("b"));
        assert_ne!(a.0, b.0);
        assert_eq!(a.1, b.1);
        assert_eq!(a.2, Path::new("/usr/bin/ls"));
        for path in ["usr/bin/ls", "lib64/ld-linux-x86-64.so.2", "tmp"] {
            assert!(a.0.join(path).exists(), "{path}");
        }
        // It runs with nothing but what is there.
        let seen = Command::new("chroot")
            .arg(&a.0)
            .args(["/usr/bin/ls", "/"])
            .output()
            .unwrap();
        if nix::unistd::geteuid().is_root() {
            assert_eq!(seen.status.code(), Some(0), "{seen:?}");
        } else {
            eprintln!("SKIPPED: only root can enter another root");
        }
    }

    #[test]
    fn what_is_no_program_here_is_named() {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path(), []);
        let script = dir.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        for (name, expected) in [
            (
                "no-such-program",
                "there is no program no-such-program on this machine".to_owned(),
            ),
            ("/", "there is no program / on this machine".into()),
            (
                script.to_str().unwrap(),
                format!("{} is no 64-bit ELF program", script.display()),
            ),
        ] {
            let error = root(OsStr::new(name), &cache, &NoProgress).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn lines_of_the_loader_are_read() {
        let program = Path::new("/bin/x");
        let path = |line| library(line, program).unwrap();
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(
            path("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2a)"),
            Some("/lib/x86_64-linux-gnu/libc.so.6".into())
        );
        assert_eq!(
            path("\t/lib64/ld-linux-x86-64.so.2 (0x00007f2a)"),
            Some("/lib64/ld-linux-x86-64.so.2".into())
        );
        let error = library("\tlibgone.so.1 => not found", program).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/bin/x needs libgone.so.1, which is not on this machine"
        );
    }

    #[test]
    fn no_path_leads_out_of_the_image() {
        for path in ["lib/x", "/lib/../../x", "/.."] {
            assert!(inside(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(inside(Path::new("/lib/x")).unwrap(), Path::new("lib/x"));
    }
}
