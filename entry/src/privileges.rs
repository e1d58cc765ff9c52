/// What the caller may do on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Everything: it is root, and in no user namespace.
    Root,
    /// What a user namespace gives that maps one user and one group, those of the command.
    UserNamespace,
}
