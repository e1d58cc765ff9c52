/// How a machine comes to the point where it runs its command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartMode {
    /// It boots.
    Cold,
    /// It goes on from a template, which is made if it is not there.
    Warm,
    /// It goes on from a template if there is one that can be used, and boots otherwise.
    #[default]
    Auto,
}
