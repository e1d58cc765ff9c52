//! More users and groups for an ordinary user.

use host::user_namespace::Subordinates;
use launch::Error;
use nix::unistd::geteuid;

use crate::args::Action;

/// Enters the user namespace of an ordinary user who was given ranges of users and groups, if what
/// is to be done deals with files of images. To be called while there is one thread.
///
/// Who was given none, or may make no user namespaces, has itself and nobody else.
pub fn enter(action: &Action) -> Result<(), Error> {
    if geteuid().is_root() || !deals_with_files(action) {
        return Ok(());
    }
    if let Ok(subordinates) = Subordinates::of_caller() {
        let entered = subordinates.enter();
        entered.map_err(|error| {
            let remedy = error.remedy();
            Error::new(error).with_remedy(remedy)
        })?;
    }
    Ok(())
}

/// Whether files of images are unpacked, mounted, put on a disk or removed.
fn deals_with_files(action: &Action) -> bool {
    match action {
        Action::Run(_)
        | Action::Compare(_)
        | Action::Load(_)
        | Action::Pull(_)
        | Action::Rmi(_)
        // It says whether that works.
        | Action::Doctor => true,
        Action::Images(_) | Action::Kernel(_) | Action::Snapshot(_) | Action::Template(_) => false,
    }
}
