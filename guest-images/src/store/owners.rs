//! Whose the files of a store are.
//!
//! A layer is unpacked once, with the users and groups that there were then. Under other ones its
//! files would belong to somebody else, and could perhaps not even be removed.

use super::unpack::privileges::{Privileges, id_map};
use super::{Store, StoreError, make_dir, read_if_there, replace};

const FILE: &str = "owners";

impl Store {
    /// Writes down whose files are to be put here, or sees that it is as it was.
    pub(super) fn claim(&self) -> Result<(), StoreError> {
        make_dir(&self.dir)?;
        let path = self.dir.join(FILE);
        match read_if_there(&path)? {
            Some(theirs) => self.compare(&theirs),
            None => replace(&path, of_this_process().as_bytes()),
        }
    }

    /// Sees that the files here are those of the users and groups that there are now.
    pub(super) fn check_owners(&self) -> Result<(), StoreError> {
        match read_if_there(&self.dir.join(FILE))? {
            Some(theirs) => self.compare(&theirs),
            // Nothing was ever put here.
            None => Ok(()),
        }
    }

    fn compare(&self, theirs: &[u8]) -> Result<(), StoreError> {
        if theirs == of_this_process().as_bytes() {
            Ok(())
        } else {
            Err(StoreError::Owners(self.dir.clone()))
        }
    }
}

/// What a layer's users and groups become.
fn of_this_process() -> String {
    if Privileges::of_this_process().is_root {
        format!(
            "users {}; groups {}\n",
            id_map("uid_map"),
            id_map("gid_map")
        )
    } else {
        "all belong to one user\n".to_owned()
    }
}
