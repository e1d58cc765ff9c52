//! More users and groups for an ordinary user.

use host::user_namespace::Subordinates;
use launch::{Chain, Error, Finding};
use nix::unistd::geteuid;

use crate::args::Action;

const SUBJECT: &str = "users";

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
        | Action::Bench(_)
        | Action::Compare(_)
        | Action::Explain(_)
        | Action::Load(_)
        | Action::Pull(_)
        | Action::Rmi(_)
        | Action::Volume(_)
        // What a killed run left may be among it.
        | Action::Rm(_) => true,
        Action::Doctor
        | Action::Images(_)
        | Action::Port(_)
        // It enters that of the instance.
        | Action::Exec(_)
        | Action::Ps(_)
        | Action::Logs(_)
        | Action::Stop(_)
        | Action::Kill(_)
        | Action::Wait(_)
        | Action::Inspect(_)
        | Action::Stats(_)
        | Action::Pause(_)
        | Action::Unpause(_)
        | Action::Kernel(_)
        | Action::Snapshot(_)
        | Action::Template(_) => false,
    }
}

/// Which users and groups an ordinary user has, found out by entering; root has all, which is not
/// worth a word. To be called while there is one thread.
pub fn finding() -> Option<Finding> {
    if geteuid().is_root() {
        return None;
    }
    let few = "images and containers have no user and no group but yours";
    let subordinates = match Subordinates::of_caller() {
        Ok(subordinates) => subordinates,
        Err(missing) => {
            let finding = Finding::note(SUBJECT, format!("{missing}; {few}"));
            return Some(finding.with_remedy(missing.remedy()));
        }
    };
    Some(match subordinates.enter() {
        Ok(true) => {
            let (users, groups) = subordinates.count();
            Finding::good(SUBJECT, format!("{users} users and {groups} groups"))
        }
        // What keeps it is among what is said of namespaces.
        Ok(false) => Finding::note(SUBJECT, few),
        Err(error) => Finding::missing(SUBJECT, Chain(&error).to_string(), error.remedy()),
    })
}
