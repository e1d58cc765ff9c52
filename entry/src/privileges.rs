/// What the caller may do on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Everything: it is root, and in no user namespace.
    Root,
    /// What a user namespace gives.
    UserNamespace(Ids),
}

/// Which users and groups a user namespace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// One user and one group, those of the command.
    One,
    /// Many, group 5 (`tty`) among them; the caller is root there.
    Many,
}

impl Privileges {
    /// Whether files can be given to others, and others be become.
    pub fn has_many_ids(self) -> bool {
        self != Self::UserNamespace(Ids::One)
    }
}
