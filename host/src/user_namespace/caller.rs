use std::sync::OnceLock;

use nix::unistd::{Uid, geteuid};

use super::id_map::IdMap;

/// Who started this: whoever is root of a user namespace is an ordinary user outside, and has its
/// files in an ordinary user's places. The same before and after such a namespace is entered.
pub fn caller() -> Uid {
    static CALLER: OnceLock<Uid> = OnceLock::new();
    *CALLER.get_or_init(|| {
        let uid = geteuid();
        match uid.is_root() {
            true => IdMap::of_users().outside(0).map_or(uid, Uid::from_raw),
            false => uid,
        }
    })
}
