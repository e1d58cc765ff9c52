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

impl Profile {
    /// How many calls of this architecture may succeed, with some arguments at least.
    pub(super) fn allowed_calls(&self, architecture: Architecture) -> usize {
        let allows =
            |action: &SeccompAction| matches!(action, SeccompAction::Allow | SeccompAction::Log);
        let may_succeed = |name: &str| {
            let mut rules = self
                .rules
                .iter()
                .filter(|rule| rule.calls.iter().any(|it| it == name))
                .peekable();
            match rules.peek() {
                None => allows(&self.default),
                Some(_) => rules.any(|rule| allows(&rule.action)),
            }
        };
        architecture
            .calls()
            .filter(|(_, name)| may_succeed(name))
            .count()
    }
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
