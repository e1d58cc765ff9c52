//! Programs that are found by their names.

use std::env;
use std::ffi::OsStr;

/// Whether a program of this name is in a directory of `PATH`.
pub fn is_installed(program: &str) -> bool {
    has(&env::var_os("PATH").unwrap_or_default(), program)
}

/// Whether it is in one of these directories, as `PATH` lists them; one with a path of its own needs
/// none.
pub fn has(path: &OsStr, program: &str) -> bool {
    env::split_paths(path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_in_any_of_the_directories_is_one_and_a_directory_is_none() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = env::join_paths(dirs.iter().map(|it| it.path())).unwrap();
        let last = dirs[1].path();
        fs::write(last.join("program"), "").unwrap();
        fs::create_dir(last.join("directory")).unwrap();
        assert!(has(&path, "program"));
        assert!(has(OsStr::new("/"), last.join("program").to_str().unwrap()));
        assert!(!has(&path, "directory"));
        assert!(!has(&path, "other"));
        assert!(!has(OsStr::new("/nowhere"), "program"));
    }
}
