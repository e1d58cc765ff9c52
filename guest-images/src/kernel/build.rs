use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use launch::Progress;

use super::KernelError;
use super::fragment;
use super::inputs::{GCC, INPUTS, Inputs, SOURCE};
use super::recipe::{PATCHES, VARIABLES};
use crate::cache::is_full;
use crate::debian_tool::Tool;

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

const TAR: Tool = tool("tar", "tar");
const PATCH: Tool = tool("patch", "patch");
const MAKE: Tool = tool("make", "make");
const STRIP: Tool = tool("strip", "binutils");

/// All programs that are run here or by the kernel's makefiles
/// (`Documentation/process/changes.rst`), and by their paths the headers that its tools need.
const NEEDED: [Tool; 12] = [
    TAR,
    tool("xz", "xz-utils"),
    PATCH,
    MAKE,
    GCC,
    STRIP,
    tool("flex", "flex"),
    tool("bison", "bison"),
    tool("bc", "bc"),
    tool("perl", "perl"),
    tool("/usr/include/stdio.h", "libc6-dev"),
    tool("/usr/include/gelf.h", "libelf-dev"),
];

/// What of the source is left packed, as patterns of `tar(1)`: two thirds of it, of which a
/// kernel for a virtual machine compiles nothing. Configuration reads all Kconfig files, so they
/// stay.
const UNUSED: [&str; 31] = [
    "*/Documentation/devicetree",
    "*/Documentation/translations",
    "*/arch/*/boot/dts",
    "*/arch/alpha/*.[chS]",
    "*/arch/arc/*.[chS]",
    "*/arch/arm/*.[chS]",
    "*/arch/arm64/*.[chS]",
    "*/arch/csky/*.[chS]",
    "*/arch/hexagon/*.[chS]",
    "*/arch/loongarch/*.[chS]",
    "*/arch/m68k/*.[chS]",
    "*/arch/microblaze/*.[chS]",
    "*/arch/mips/*.[chS]",
    "*/arch/nios2/*.[chS]",
    "*/arch/openrisc/*.[chS]",
    "*/arch/parisc/*.[chS]",
    "*/arch/powerpc/*.[chS]",
    "*/arch/riscv/*.[chS]",
    "*/arch/s390/*.[chS]",
    "*/arch/sh/*.[chS]",
    "*/arch/sparc/*.[chS]",
    "*/arch/xtensa/*.[chS]",
    "*/drivers/gpu/*.[ch]",
    "*/drivers/infiniband/*.[ch]",
    "*/drivers/media/*.[ch]",
    "*/drivers/net/ethernet/*.[ch]",
    "*/drivers/net/wireless/*.[ch]",
    "*/drivers/staging/*.[ch]",
    "*/sound/*.[ch]",
    "*/tools/perf",
    "*/tools/testing",
];

/// How many lines make prints for this recipe, one for a file that it makes: only to say how far
/// it is.
const ABOUT_FILES: u64 = 1335;

/// Looks for all that is needed at once, so that the user is told once what to install.
pub(super) fn check_needed() -> Result<(), KernelError> {
    check_needed_in(&env::var_os("PATH").unwrap_or_default())
}

fn check_needed_in(path: &OsStr) -> Result<(), KernelError> {
    let missing: Vec<Tool> = NEEDED
        .into_iter()
        .filter(|tool| !tool.is_in(path))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<_> = missing.iter().map(|tool| tool.package).collect();
    Err(KernelError::Missing {
        names: missing.iter().map(|tool| tool.program).collect(),
        packages: packages.into_iter().collect(),
    })
}

/// Builds a kernel into the new directory `dir`.
pub(super) fn build(
    inputs: &Inputs,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<(), KernelError> {
    let result = build_steps(inputs, dir, progress);
    match (&result, dir.parent()) {
        // What the programs say about it is many things.
        (Err(_), Some(shelf)) if is_full(shelf) => Err(KernelError::Full(shelf.to_owned())),
        _ => result,
    }
}

fn build_steps(inputs: &Inputs, dir: &Path, progress: &dyn Progress) -> Result<(), KernelError> {
    let work = dir.join("work");
    let source = work.join("source");
    let output = work.join("output");
    for dir in [&source, &output] {
        fs::create_dir_all(dir).map_err(KernelError::io("make", dir))?;
    }

    during(progress, "unpacking the kernel source", || unpack(&source))?;
    apply_patches(&source, &work)?;
    during(progress, "configuring the guest kernel", || {
        configure(inputs.processors().fragment(), &source, &output, &work)
    })?;
    during(progress, "building the guest kernel", || {
        compile(&source, &output, &work, progress)
    })?;

    let strip = [
        "--strip-all".as_ref(),
        "-o".as_ref(),
        dir.join("vmlinux").into_os_string().as_os_str(),
        output.join("vmlinux").as_os_str(),
    ]
    .map(ToOwned::to_owned);
    STRIP.run(strip)?;
    keep(&output.join("System.map"), &dir.join("System.map"))?;
    keep(&output.join(".config"), &dir.join("config"))?;
    let path = dir.join(INPUTS);
    fs::write(&path, inputs.as_str()).map_err(KernelError::io("write", &path))?;
    for name in ["vmlinux", "System.map", "config", INPUTS] {
        let path = dir.join(name);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(KernelError::io("write", &path))?;
    }
    fs::remove_dir_all(&work).map_err(KernelError::io("remove", &work))
}

fn during<T>(progress: &dyn Progress, what: &str, work: impl FnOnce() -> T) -> T {
    progress.begin(what);
    let result = work();
    progress.end();
    result
}

fn unpack(source: &Path) -> Result<(), KernelError> {
    let mut args: Vec<OsString> = UNUSED
        .iter()
        .map(|pattern| format!("--exclude={pattern}").into())
        .collect();
    for argument in [
        "--extract".as_ref(),
        "--xz".as_ref(),
        "--strip-components=1".as_ref(),
        "--no-same-owner".as_ref(),
        "--file".as_ref(),
        SOURCE.as_ref(),
        "--directory".as_ref(),
        source.as_os_str(),
    ] {
        args.push(argument.to_owned());
    }
    TAR.run(args)?;
    Ok(())
}

fn apply_patches(source: &Path, work: &Path) -> Result<(), KernelError> {
    for (name, patch) in PATCHES {
        let path = work.join(name);
        fs::write(&path, patch).map_err(KernelError::io("write", &path))?;
        // Without fuzz: a place that only resembles the one that was meant is none.
        let args = [
            "--batch".as_ref(),
            "--strip=1".as_ref(),
            "--fuzz=0".as_ref(),
            "--directory".as_ref(),
            source.as_os_str(),
            "--input".as_ref(),
            path.as_os_str(),
        ];
        // It says what failed on its standard output.
        let output = PATCH
            .command()
            .args(args)
            .output()
            .map_err(|error| PATCH.not_run(error))?;
        PATCH.check(output.status, &output.stdout)?;
    }
    Ok(())
}

/// `make` in the kernel's source, with nothing of the caller's environment that would get into
/// the kernel.
fn make(source: &Path, output: &Path) -> Command {
    let mut make = MAKE.command();
    make.env_clear()
        .env("LC_ALL", "C")
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .envs(VARIABLES)
        .arg("-C")
        .arg(source)
        .arg(format!("O={}", output.display()));
    make
}

fn configure(fragment: &str, source: &Path, output: &Path, work: &Path) -> Result<(), KernelError> {
    let path = work.join("fragment");
    fs::write(&path, fragment).map_err(KernelError::io("write", &path))?;
    let configured = make(source, output)
        .env("KCONFIG_ALLCONFIG", &path)
        .arg("allnoconfig")
        .output()
        .map_err(|error| MAKE.not_run(error))?;
    MAKE.check(configured.status, first_error(&configured.stderr))?;
    let path = output.join(".config");
    let config = fs::read_to_string(&path).map_err(KernelError::io("read", &path))?;
    match fragment::first_ignored(fragment, &config) {
        Some(line) => Err(KernelError::Option(line.to_owned())),
        None => Ok(()),
    }
}

fn compile(
    source: &Path,
    output: &Path,
    work: &Path,
    progress: &dyn Progress,
) -> Result<(), KernelError> {
    let path = work.join("errors");
    let errors = File::create(&path).map_err(KernelError::io("write", &path))?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut child = make(source, output)
        .arg(format!("--jobs={jobs}"))
        .arg("vmlinux")
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|error| MAKE.not_run(error))?;
    if let Some(stdout) = child.stdout.take() {
        for (index, _line) in (1..).zip(BufReader::new(stdout).split(b'\n')) {
            progress.advance(index, ABOUT_FILES.max(index));
        }
    }
    let status = child.wait().map_err(|error| MAKE.not_run(error))?;
    let said = fs::read(&path).map_err(KernelError::io("read", &path))?;
    Ok(MAKE.check(status, first_error(&said))?)
}

/// The line that says what is wrong: the compiler's or, if it is none of its business, the first
/// of make's. What make says after it is only who else could not go on.
fn first_error(said: &[u8]) -> &[u8] {
    let first = |sign: &[u8]| {
        said.split(|byte| *byte == b'\n')
            .find(|line| line.windows(sign.len()).any(|part| part == sign))
    };
    first(b"error: ").or_else(|| first(b"***")).unwrap_or(said)
}

fn keep(from: &Path, to: &Path) -> Result<(), KernelError> {
    fs::rename(from, to).map_err(KernelError::io("keep", from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_told_at_once_with_its_packages() {
        let error = check_needed_in(OsStr::new("/nonexistent")).unwrap_err();
        for Tool { program, package } in [TAR, PATCH, MAKE, GCC, STRIP] {
            assert!(error.to_string().contains(program), "{error}");
            assert!(error.remedy().unwrap().contains(package), "{error}");
        }
    }

    #[test]
    fn the_error_is_told_and_not_what_follows_from_it() {
        let said = b"a.c:1:2: warning: x\na.c:3:4: error: y\nmake[1]: *** [a.o] Error 1\n";
        assert_eq!(first_error(said), b"a.c:3:4: error: y");
        let said = b"make[2]: *** No rule to make target 'x'.\nmake: *** [Makefile:1: y] Error 2\n";
        assert_eq!(
            first_error(said),
            b"make[2]: *** No rule to make target 'x'."
        );
        assert_eq!(first_error(b"terminated"), b"terminated");
    }
}
