//! Where jaula keeps its state, its cache and its users' data.
//!
//! | | root | others | override |
//! |---|---|---|---|
//! | state of running instances | `/run/jaula` | `$XDG_RUNTIME_DIR/jaula`, else `/tmp/jaula-UID` | `JAULA_RUN_DIR` |
//! | what can be made again | `/var/cache/jaula` | `$XDG_CACHE_HOME/jaula`, else `~/.cache/jaula` | `JAULA_CACHE_DIR` |
//! | what can not: images, snapshots | `/var/lib/jaula` | `$XDG_DATA_HOME/jaula`, else `~/.local/share/jaula` | `JAULA_DATA_DIR` |
//!
//! Variables that are empty count as unset, and the XDG ones also when they are no absolute path
//! (XDG Base Directory Specification 0.8).

use std::ffi::OsString;
use std::path::PathBuf;

use nix::unistd::Uid;

use crate::user_namespace::caller;

/// Why there is no such directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The user's override would mean another directory each time jaula is started.
    #[error("{variable} is {value:?}, which is not an absolute path")]
    Relative {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: PathBuf,
    },
    /// There is no place for an ordinary user's files.
    #[error("HOME is not set, so there is no place for {what}; set {variable}")]
    NoHome {
        /// Which files.
        what: &'static str,
        /// The environment variable that names another place.
        variable: &'static str,
    },
}

/// Where running instances keep their state. Not made by this.
///
/// # Errors
///
/// When `JAULA_RUN_DIR` is a relative path.
pub fn run_dir() -> Result<PathBuf, Error> {
    run_dir_of(caller(), |name| std::env::var_os(name))
}

/// Where images, kernels and what is made from them are kept. Not made by this.
///
/// # Errors
///
/// When `JAULA_CACHE_DIR` is a relative path, or nothing says where an ordinary user's home is.
pub fn cache_dir() -> Result<PathBuf, Error> {
    cache_dir_of(caller(), |name| std::env::var_os(name))
}

/// Where is kept what can't be made again, such as images and snapshots. Not made by this.
///
/// # Errors
///
/// When `JAULA_DATA_DIR` is a relative path, or nothing says where an ordinary user's home is.
pub fn data_dir() -> Result<PathBuf, Error> {
    data_dir_of(caller(), |name| std::env::var_os(name))
}

fn run_dir_of(uid: Uid, env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    if let Some(dir) = overriding(&env, "JAULA_RUN_DIR")? {
        return Ok(dir);
    }
    if uid.is_root() {
        return Ok("/run/jaula".into());
    }
    Ok(absolute(&env, "XDG_RUNTIME_DIR")
        .map(|dir| dir.join("jaula"))
        .unwrap_or_else(|| format!("/tmp/jaula-{uid}").into()))
}

fn cache_dir_of(uid: Uid, env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let variable = "JAULA_CACHE_DIR";
    if let Some(dir) = overriding(&env, variable)? {
        return Ok(dir);
    }
    if uid.is_root() {
        return Ok("/var/cache/jaula".into());
    }
    let what = "the cache";
    users(&env, "XDG_CACHE_HOME", ".cache").ok_or(Error::NoHome { what, variable })
}

fn data_dir_of(uid: Uid, env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let variable = "JAULA_DATA_DIR";
    if let Some(dir) = overriding(&env, variable)? {
        return Ok(dir);
    }
    if uid.is_root() {
        return Ok("/var/lib/jaula".into());
    }
    let what = "images and snapshots";
    users(&env, "XDG_DATA_HOME", ".local/share").ok_or(Error::NoHome { what, variable })
}

/// An ordinary user's directory: in that of an XDG variable, else in its default in the home.
fn users(env: impl Fn(&str) -> Option<OsString>, variable: &str, in_home: &str) -> Option<PathBuf> {
    absolute(&env, variable)
        .or_else(|| absolute(&env, "HOME").map(|home| home.join(in_home)))
        .map(|dir| dir.join("jaula"))
}

fn overriding(
    env: impl Fn(&str) -> Option<OsString>,
    variable: &'static str,
) -> Result<Option<PathBuf>, Error> {
    match env(variable).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => {
            let value = PathBuf::from(value);
            if value.is_absolute() {
                Ok(Some(value))
            } else {
                Err(Error::Relative { variable, value })
            }
        }
    }
}

fn absolute(env: impl Fn(&str) -> Option<OsString>, variable: &str) -> Option<PathBuf> {
    env(variable)
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Env<'a> = &'a [(&'a str, &'a str)];

    fn lookup(env: Env<'_>) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        }
    }

    #[test]
    fn state_is_kept_where_it_vanishes_with_a_reboot() {
        for (uid, env, expected) in [
            (0, &[][..], "/run/jaula"),
            (0, &[("XDG_RUNTIME_DIR", "/run/user/0")], "/run/jaula"),
            (0, &[("JAULA_RUN_DIR", "/x")], "/x"),
            (7, &[("JAULA_RUN_DIR", "/x")], "/x"),
            (
                7,
                &[("XDG_RUNTIME_DIR", "/run/user/7")],
                "/run/user/7/jaula",
            ),
            (7, &[("XDG_RUNTIME_DIR", "")], "/tmp/jaula-7"),
            (7, &[("XDG_RUNTIME_DIR", "a")], "/tmp/jaula-7"),
            (7, &[("JAULA_RUN_DIR", "")], "/tmp/jaula-7"),
        ] as [(u32, Env<'_>, &str); 8]
        {
            let dir = run_dir_of(Uid::from_raw(uid), lookup(env));
            assert_eq!(dir, Ok(expected.into()), "{uid} {env:?}");
        }
    }

    #[test]
    fn the_cache_is_where_other_programs_have_theirs() {
        for (uid, env, expected) in [
            (0, &[("HOME", "/root")][..], "/var/cache/jaula"),
            (0, &[("JAULA_CACHE_DIR", "/x")], "/x"),
            (7, &[("HOME", "/h")], "/h/.cache/jaula"),
            (7, &[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")], "/c/jaula"),
            (
                7,
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "c")],
                "/h/.cache/jaula",
            ),
        ] as [(u32, Env<'_>, &str); 5]
        {
            let dir = cache_dir_of(Uid::from_raw(uid), lookup(env));
            assert_eq!(dir, Ok(expected.into()), "{uid} {env:?}");
        }
        let homeless = cache_dir_of(Uid::from_raw(7), lookup(&[]));
        assert!(matches!(homeless, Err(Error::NoHome { .. })));
    }

    #[test]
    fn images_and_snapshots_are_where_other_programs_have_their_data() {
        for (uid, env, expected) in [
            (0, &[("HOME", "/root")][..], "/var/lib/jaula"),
            (0, &[("JAULA_DATA_DIR", "/x")], "/x"),
            (7, &[("HOME", "/h")], "/h/.local/share/jaula"),
            (7, &[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], "/d/jaula"),
            (
                7,
                &[("HOME", "/h"), ("XDG_DATA_HOME", "d")],
                "/h/.local/share/jaula",
            ),
        ] as [(u32, Env<'_>, &str); 5]
        {
            let dir = data_dir_of(Uid::from_raw(uid), lookup(env));
            assert_eq!(dir, Ok(expected.into()), "{uid} {env:?}");
        }
        let error = data_dir_of(Uid::from_raw(7), lookup(&[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HOME is not set, so there is no place for images and snapshots; set JAULA_DATA_DIR"
        );
    }

    #[test]
    fn a_relative_override_is_refused() {
        let dir = run_dir_of(Uid::from_raw(0), lookup(&[("JAULA_RUN_DIR", "here")]));
        assert!(matches!(dir, Err(Error::Relative { .. })));
    }
}
