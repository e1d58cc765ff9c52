//! Which system calls each thread of the monitor may make: [`table`] is the list.
//!
//! A call that is not on it kills the process (SIGSYS), and the launcher says so. A filter goes on
//! for whatever its thread starts, and can only be narrowed: so the threads of a machine load
//! theirs themselves, before the main thread, which starts others later on, loads its own.

mod ioctls;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use table::{Allowed, Only};

/// What a thread is for. Threads of one role make the same calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decides.
    Main,
    /// Runs the guest, and saves the machine while that stands still.
    Vcpu,
    /// Serves disk, sockets and network.
    Devices,
    /// Serves the host's files.
    Shares,
    /// Serves the host's block devices.
    Disks,
    /// Waits for what comes from outside.
    Watch,
    /// Talks to the guest's PID 1.
    Control,
    /// Copies to the guest.
    Stdin,
    /// Copies from the guest.
    Stdout,
    /// The same.
    Stderr,
    /// Does what somebody asks for, as to run a further command.
    Request,
    /// Listens to who has asked for a further command.
    Asker,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Main,
        Self::Vcpu,
        Self::Devices,
        Self::Shares,
        Self::Disks,
        Self::Watch,
        Self::Control,
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Request,
        Self::Asker,
    ];

    /// The name of its threads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Vcpu => "vcpu",
            Self::Devices => "devices",
            Self::Shares => "shares",
            Self::Disks => "disks",
            Self::Watch => "watch",
            Self::Control => "control",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Request => "request",
            Self::Asker => "asker",
        }
    }
}

/// Why a thread has no filter. It must do nothing then.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The list can't be expressed.
    #[error("the filter of a thread's system calls can't be made")]
    Compile(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("the kernel does not take the filter of a thread's system calls")]
    Load(#[from] seccompiler::Error),
}

/// A system call that the threads of a role may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedCall {
    /// Its number.
    pub number: i64,
    /// If it may be made with certain values only: of which argument, counted from 0, and which.
    /// They are compared with the argument's lower 32 bits.
    pub values: Option<(u8, &'static [u64])>,
}

/// All that a role's filter lets pass; the same call may be there with several restrictions. What else
/// an argument must be, as "this process", or must not have, is not told.
pub fn allowed(role: Role) -> impl Iterator<Item = AllowedCall> {
    let all = table::of(role).iter().copied().flatten();
    all.map(|allowed| AllowedCall {
        number: allowed.call,
        values: match allowed.only {
            Only::Values(place, values) => Some((place, values)),
            Only::Always | Only::Without(..) | Only::OwnProcess(_) => None,
        },
    })
}

/// How many calls any thread may make, some with certain arguments only.
pub(super) fn allowed_calls() -> usize {
    let calls = everything().map(|allowed| allowed.number);
    calls.collect::<BTreeSet<_>>().len()
}

/// How many of KVM's ioctls any thread may make.
pub(super) fn kvm_ioctls() -> usize {
    let requests = everything()
        .filter(|allowed| allowed.number == libc::SYS_ioctl)
        .filter_map(|allowed| allowed.values)
        .flat_map(|(_, requests)| requests)
        .filter(|request| ioctls::is_of_kvm(**request));
    requests.collect::<BTreeSet<_>>().len()
}

fn everything() -> impl Iterator<Item = AllowedCall> {
    Role::ALL.into_iter().flat_map(allowed)
}

/// What the kernel runs at each call of a thread.
pub struct Filter {
    /// Each has its say, and the strictest answer counts.
    programs: Vec<BpfProgram>,
}

impl Filter {
    /// That of a role.
    ///
    /// # Errors
    ///
    /// Never, unless the list is wrong.
    pub fn of(role: Role) -> Result<Self, FilterError> {
        let mut rules = BTreeMap::<_, Vec<SeccompRule>>::new();
        let mut always = Vec::new();
        for allowed in table::of(role).iter().copied().flatten() {
            let of_call = rules.entry(allowed.call).or_default();
            match conditions(allowed)? {
                Some(conditions) => of_call.extend(conditions),
                None => always.push(allowed.call),
            }
        }
        // Without a rule, a call is allowed whatever its arguments are.
        rules.extend(always.into_iter().map(|call| (call, Vec::new())));
        let mut programs = Vec::new();
        if table::starts_threads(role) {
            programs.push(without_clone3()?);
        }
        programs.push(compile(
            rules,
            SeccompAction::KillProcess,
            SeccompAction::Allow,
        )?);
        Ok(Self { programs })
    }

    /// Has it decide about all further calls of the calling thread.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load(&self) -> Result<(), FilterError> {
        self.programs
            .iter()
            .try_for_each(|program| apply_filter(program))?;
        Ok(())
    }
}

/// No filter sees the flags of clone3(2), which are in memory: it does not exist, so that glibc
/// makes threads by clone(2).
fn without_clone3() -> Result<BpfProgram, FilterError> {
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    compile(rules, SeccompAction::Allow, missing)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, FilterError> {
    let architecture = TargetArch::try_from(ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, matching, architecture)?;
    Ok(BpfProgram::try_from(filter)?)
}

/// One rule for each way in which the call may be made; `None` for any.
fn conditions(allowed: &Allowed) -> Result<Option<Vec<SeccompRule>>, FilterError> {
    let rule = |place, operator, value| {
        let condition = SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value)?;
        SeccompRule::new(vec![condition])
    };
    let rules: Result<Vec<_>, seccompiler::BackendError> = match allowed.only {
        Only::Always => return Ok(None),
        Only::Values(place, values) => values
            .iter()
            .map(|value| rule(place, SeccompCmpOp::Eq, *value))
            .collect(),
        Only::Without(place, bits) => {
            rule(place, SeccompCmpOp::MaskedEq(bits), 0).map(|it| vec![it])
        }
        Only::OwnProcess(place) => {
            let own = std::process::id().into();
            rule(place, SeccompCmpOp::Eq, own).map(|it| vec![it])
        }
    };
    Ok(Some(rules?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_filter_that_the_kernel_can_take() {
        // `BPF_MAXINSNS`, `include/uapi/linux/bpf_common.h`.
        const MAX_INSTRUCTIONS: usize = 4096;
        for role in Role::ALL {
            let filter = Filter::of(role).unwrap();
            for program in &filter.programs {
                assert!(program.len() < MAX_INSTRUCTIONS, "{role:?}");
            }
        }
    }
}
