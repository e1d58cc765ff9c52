use std::borrow::Cow;

use seccompiler::{SeccompAction, SeccompCondition};

use super::architecture::Architecture;

/// What is to happen to system calls.
pub(super) struct Profile {
    /// What happens to a call that no rule is for.
    pub(super) default: SeccompAction,
    /// The interfaces that may be used. A call through another one kills the process, as with
    /// libseccomp.
    pub(super) architectures: Vec<Architecture>,
    /// The rules. Of those for one call, the first with conditions that match counts, then the
    /// first without any.
    pub(super) rules: Vec<Rule>,
}

/// What is to happen to some calls.
pub(super) struct Rule {
    /// Their names; one that an architecture does not have is passed over there.
    pub(super) calls: Vec<Cow<'static, str>>,
    /// What must be true of the arguments, all of it.
    pub(super) conditions: Vec<SeccompCondition>,
    /// What happens.
    pub(super) action: SeccompAction,
}
