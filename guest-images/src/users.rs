//! Whom a command runs as: docker's `-u`, looked up in the image.

mod database;
pub(crate) mod open_in_layers;
mod open_in_root;
mod spec;

use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::Path;

use launch::{Credentials, RootFs};

use database::{GroupEntry, PasswdEntry};
pub use open_in_root::ReadInRootError;
use open_in_root::{read_in_directory, read_in_root};
use spec::NameOrId;
pub use spec::{GroupSpec, InvalidGroupSpec, InvalidUserSpec, UserSpec};

/// Why the image has no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The user was given by a name that is not in `/etc/passwd`.
    #[error("the image has no user {0:?} in /etc/passwd")]
    NoUser(String),
    /// The group was given by a name that is not in `/etc/group`.
    #[error("the image has no group {0:?} in /etc/group")]
    NoGroup(String),
    /// One of the two files can't be read.
    #[error(transparent)]
    Read(#[from] ReadInRootError),
}

/// A user of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What the command runs as.
    pub credentials: Credentials,
    /// The home directory, `/` if the image knows none.
    pub home: CString,
}

/// Looks `spec` up in the image's `/etc/passwd` and `/etc/group`, as docker does: a number need
/// not be there, a name must. Supplementary groups are those of the user, and none if a group
/// was asked for.
///
/// # Errors
///
/// When a name is not there, or a file of the image can't be read safely.
pub fn look_up(spec: &UserSpec, root: &RootFs) -> Result<User, UserError> {
    let passwd = read_in_root(&root.layers, Path::new("etc/passwd"))?;
    let groups = read_in_root(&root.layers, Path::new("etc/group"))?;
    resolve(spec, &passwd, &groups)
}

/// Looks `spec` up in the root of something that runs, which is open as `root`.
///
/// # Errors
///
/// As [`look_up`].
pub fn look_up_in(spec: &UserSpec, root: BorrowedFd<'_>) -> Result<User, UserError> {
    let passwd = read_in_directory(root, Path::new("etc/passwd"))?;
    let groups = read_in_directory(root, Path::new("etc/group"))?;
    resolve(spec, &passwd, &groups)
}

/// Looks `spec` up in what a root's `/etc/passwd` and `/etc/group` hold.
///
/// # Errors
///
/// When a name is not there.
pub fn look_up_among(spec: &UserSpec, passwd: &[u8], group: &[u8]) -> Result<User, UserError> {
    resolve(spec, passwd, group)
}

/// Looks `groups` up in the image's `/etc/group`: a number need not be there, a name must.
///
/// # Errors
///
/// When a name is not there, or the file of the image can't be read safely.
pub fn look_up_groups(groups: &[GroupSpec], root: &RootFs) -> Result<Vec<u32>, UserError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let known = read_in_root(&root.layers, Path::new("etc/group"))?;
    let id = |GroupSpec(group): &GroupSpec| group_id(group, &known);
    groups.iter().map(id).collect()
}

fn resolve(spec: &UserSpec, passwd: &[u8], groups: &[u8]) -> Result<User, UserError> {
    let mut users = database::passwd(passwd);
    let entry = match &spec.user {
        NameOrId::Name(name) => users.find(|entry| entry.name == name.as_bytes()),
        NameOrId::Id(id) => users.find(|entry| entry.uid == *id),
    };
    let uid = match (&entry, &spec.user) {
        (Some(entry), _) => entry.uid,
        (None, NameOrId::Id(id)) => *id,
        (None, NameOrId::Name(name)) => return Err(UserError::NoUser(name.clone())),
    };
    let (gid, supplementary) = match (&spec.group, &entry) {
        (Some(group), _) => (group_id(group, groups)?, Vec::new()),
        (None, Some(entry)) => (entry.gid, groups_of(entry, groups)),
        (None, None) => (0, Vec::new()),
    };
    let home = entry
        .map(|entry| entry.home)
        .filter(|home| home.starts_with(b"/"))
        .and_then(|home| CString::new(home).ok())
        .unwrap_or_else(|| c"/".to_owned());
    Ok(User {
        credentials: Credentials {
            uid,
            gid,
            groups: supplementary,
        },
        home,
    })
}

fn group_id(group: &NameOrId, groups: &[u8]) -> Result<u32, UserError> {
    match group {
        NameOrId::Id(id) => Ok(*id),
        NameOrId::Name(name) => database::group(groups)
            .find(|entry| entry.name == name.as_bytes())
            .map(|entry| entry.gid)
            .ok_or_else(|| UserError::NoGroup(name.clone())),
    }
}

/// The groups that name the user as a member, each once, in the file's order.
fn groups_of(user: &PasswdEntry<'_>, groups: &[u8]) -> Vec<u32> {
    // NGROUPS_MAX, include/uapi/linux/limits.h; setgroups(2) refuses more.
    const MAX_GROUPS: usize = 65536;
    let mut ids: Vec<u32> = Vec::new();
    let is_member = |group: &GroupEntry<'_>| group.members().any(|member| member == user.name);
    for group in database::group(groups).filter(is_member) {
        if ids.len() < MAX_GROUPS && !ids.contains(&group.gid) {
            ids.push(group.gid);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        web:x:33:33::/var/www:/bin/false\n\
        1000:x:7:8::/digits:\n\
        bare:x:9:9:::\n";
    const GROUP: &[u8] =
        b"root:x:0:\nwheel:x:10:root,web\nweb:x:33:\nlogs:x:4:web\nlogs2:x:4:web\n";

    fn user(spec: &str) -> Result<(u32, u32, Vec<u32>, String), String> {
        let User { credentials, home } =
            resolve(&spec.parse().unwrap(), PASSWD, GROUP).map_err(|error| error.to_string())?;
        let Credentials { uid, gid, groups } = credentials;
        Ok((uid, gid, groups, home.into_string().unwrap()))
    }

    #[test]
    fn a_user_is_looked_up_as_docker_does() {
        for (spec, uid, gid, groups, home) in [
            ("root", 0, 0, &[10][..], "/root"),
            ("0", 0, 0, &[10], "/root"),
            ("web", 33, 33, &[10, 4], "/var/www"),
            ("33", 33, 33, &[10, 4], "/var/www"),
            ("33:0", 33, 0, &[], "/var/www"),
            ("web:wheel", 33, 10, &[], "/var/www"),
            ("web:4294", 33, 4294, &[], "/var/www"),
            ("4321", 4321, 0, &[], "/"),
            ("4321:logs", 4321, 4, &[], "/"),
            ("bare", 9, 9, &[], "/"),
        ] {
            assert_eq!(
                user(spec),
                Ok((uid, gid, groups.to_vec(), home.to_owned())),
                "{spec}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_that_names_it() {
        assert_eq!(
            user("nobody"),
            Err("the image has no user \"nobody\" in /etc/passwd".into())
        );
        assert_eq!(
            user("web:staff"),
            Err("the image has no group \"staff\" in /etc/group".into())
        );
    }
}
