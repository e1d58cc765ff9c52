//! docker's seccomp profiles: JSON, as `docker run --security-opt seccomp=FILE` takes it.
//!
//! What docker leaves unsaid, or to libseccomp and runc, is here: keys that are unknown are
//! refused, since one that is misspelt would widen the list; a rule with two conditions on one
//! argument holds if any of its conditions does (runc); names of other architectures' calls
//! are passed over where the profile refuses such a call anyway.

use launch::{CapabilityName, CapabilitySet, UnknownCapability};
use nix::sys::utsname::uname;
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use serde::Deserialize;

use super::architecture::Architecture;
use super::profile::{Profile, Rule};

/// Longer ones are refused. docker's own has 17 KiB.
const MAX_BYTES: usize = 1 << 20;

/// The largest `errno`, `MAX_ERRNO` of `include/linux/err.h`.
const MAX_ERRNO: u32 = 4095;

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is longer than any that is of use.
    #[error("it has {0} bytes, and may have {MAX_BYTES}")]
    TooLong(usize),
    /// It is not what docker takes.
    #[error("it is not a profile in docker's format")]
    Format(#[from] serde_json::Error),
    /// It says the same in two ways, or not at all.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// It needs something that is not there.
    #[error("{what} {name:?} is not supported")]
    Unsupported {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A number that makes no sense.
    #[error("{what} {number} is out of range")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// A call that is to be refused has no known number.
    #[error("system call {0:?}, which it refuses, is unknown")]
    UnknownCall(String),
    /// A capability that there is not.
    #[error(transparent)]
    Capability(#[from] UnknownCapability),
    /// A condition that can't be expressed.
    #[error(transparent)]
    Condition(#[from] seccompiler::BackendError),
    /// The kernel's version can't be found out.
    #[error("can't find out the kernel's version")]
    Kernel(#[source] nix::errno::Errno),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Syscall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchMap {
    architecture: String,
    /// `null` in some.
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Syscall {
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
    /// For people.
    #[serde(rename = "comment")]
    _comment: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// When a rule is there at all.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Reads a profile, for a container with these capabilities on this kernel.
pub(super) fn parse(json: &str, capabilities: CapabilitySet) -> Result<Profile, ProfileError> {
    let release = uname().map_err(ProfileError::Kernel)?;
    let release = release.release().to_string_lossy();
    // The kernel's own can always be read; one that can't is as old as any.
    let kernel = version(&release).unwrap_or((0, 0));
    parse_for(json, capabilities, kernel)
}

fn parse_for(
    json: &str,
    capabilities: CapabilitySet,
    kernel: (u32, u32),
) -> Result<Profile, ProfileError> {
    if json.len() > MAX_BYTES {
        return Err(ProfileError::TooLong(json.len()));
    }
    let file: File = serde_json::from_str(json)?;
    if let Some(flag) = file.flags.iter().find(|flag| !is_implied(flag)) {
        return Err(unsupported("flag", flag));
    }
    let default = action(&file.default_action, file.default_errno_ret)?;
    let host = Host {
        capabilities,
        kernel,
    };
    let mut rules = Vec::new();
    for syscall in &file.syscalls {
        if host.has(syscall)? {
            rules.extend(syscall.rules(&default)?);
        }
    }
    Ok(Profile {
        default,
        architectures: file.architectures()?,
        rules,
    })
}

/// Flags of `seccomp(2)` for what is done without them: one thread is filtered, and speculation
/// is not restricted on old kernels, as runc does it too.
fn is_implied(flag: &str) -> bool {
    matches!(
        flag,
        "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
    )
}

impl File {
    /// Of those that are named, the ones that this machine has.
    fn architectures(&self) -> Result<Vec<Architecture>, ProfileError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(ProfileError::Ambiguous(
                "it has both \"architectures\" and \"archMap\"",
            ));
        }
        let mapped = self
            .arch_map
            .iter()
            .filter(|map| map.architecture == "SCMP_ARCH_X86_64")
            .filter_map(|map| map.sub_architectures.as_ref());
        let has_i386 = self
            .architectures
            .iter()
            .chain(mapped.flatten())
            .any(|name| name == "SCMP_ARCH_X86");
        let i386 = has_i386.then_some(Architecture::I386);
        Ok([Architecture::X86_64].into_iter().chain(i386).collect())
    }
}

/// What rules depend on.
struct Host {
    capabilities: CapabilitySet,
    kernel: (u32, u32),
}

impl Host {
    fn has(&self, syscall: &Syscall) -> Result<bool, ProfileError> {
        let included = match &syscall.includes {
            None => true,
            Some(filter) => {
                (filter.arches.is_empty() || is_here(&filter.arches))
                    && self.has_capabilities(&filter.caps)?.all(|has| has)
                    && self.is_new_enough(filter)?.unwrap_or(true)
            }
        };
        let excluded = match &syscall.excludes {
            None => false,
            Some(filter) => {
                is_here(&filter.arches)
                    || self.has_capabilities(&filter.caps)?.any(|has| has)
                    || self.is_new_enough(filter)?.unwrap_or(false)
            }
        };
        Ok(included && !excluded)
    }

    fn has_capabilities(
        &self,
        names: &[String],
    ) -> Result<impl Iterator<Item = bool>, ProfileError> {
        let names = names
            .iter()
            .map(|name| name.parse::<CapabilityName>())
            .collect::<Result<Vec<_>, _>>()?;
        let has = |name| {
            let wanted = CapabilitySet::NONE.changed(&[name], &[]);
            self.capabilities.contains(wanted)
        };
        Ok(names.into_iter().map(has))
    }

    fn is_new_enough(&self, filter: &Filter) -> Result<Option<bool>, ProfileError> {
        let Some(wanted) = &filter.min_kernel else {
            return Ok(None);
        };
        match version(wanted) {
            Some(wanted) => Ok(Some(self.kernel >= wanted)),
            None => Err(unsupported("kernel version", wanted)),
        }
    }
}

/// By the name that Go has for it.
fn is_here(arches: &[String]) -> bool {
    arches.iter().any(|name| name == "amd64")
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

impl Syscall {
    fn rules(&self, default: &SeccompAction) -> Result<Vec<Rule>, ProfileError> {
        let names = match (&self.name, &self.names[..]) {
            (Some(name), []) => std::slice::from_ref(name),
            (None, names) => names,
            (Some(_), _) => {
                return Err(ProfileError::Ambiguous(
                    "a rule has both \"name\" and \"names\"",
                ));
            }
        };
        let action = action(&self.action, self.errno_ret)?;
        if passes(default) && !passes(&action) {
            refuse_unknown(names)?;
        }
        let rule = |conditions| Rule {
            calls: names.iter().cloned().map(Into::into).collect(),
            conditions,
            action: action.clone(),
        };
        let arguments = self.args.as_deref().unwrap_or_default();
        let conditions = arguments
            .iter()
            .map(Argument::condition)
            .collect::<Result<Vec<_>, _>>()?;
        let is_repeated = |argument: &Argument| {
            let same = |other: &&Argument| other.index == argument.index;
            arguments.iter().filter(same).count() > 1
        };
        if arguments.iter().any(is_repeated) {
            return Ok(conditions.into_iter().map(|one| rule(vec![one])).collect());
        }
        Ok(vec![rule(conditions)])
    }
}

/// Whether a call is made after all.
fn passes(action: &SeccompAction) -> bool {
    matches!(
        action,
        SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace(_)
    )
}

fn refuse_unknown(names: &[String]) -> Result<(), ProfileError> {
    let is_known = |name: &&String| {
        Architecture::ALL
            .into_iter()
            .flat_map(Architecture::calls)
            .any(|(_, known)| known == name.as_str())
    };
    match names.iter().find(|name| !is_known(name)) {
        Some(unknown) => Err(ProfileError::UnknownCall(unknown.clone())),
        None => Ok(()),
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, ProfileError> {
        let index = u8::try_from(self.index).map_err(|_| ProfileError::OutOfRange {
            what: "index of an argument",
            number: self.index.into(),
        })?;
        let (operator, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_LT" => (SeccompCmpOp::Lt, self.value),
            "SCMP_CMP_LE" => (SeccompCmpOp::Le, self.value),
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_GE" => (SeccompCmpOp::Ge, self.value),
            "SCMP_CMP_GT" => (SeccompCmpOp::Gt, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            op => return Err(unsupported("comparison", op)),
        };
        // All 64 bits, as libseccomp compares.
        let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)?;
        Ok(condition)
    }
}

fn action(name: &str, errno: Option<u32>) -> Result<SeccompAction, ProfileError> {
    let number = errno.unwrap_or(libc::EPERM as u32);
    if number > MAX_ERRNO {
        return Err(ProfileError::OutOfRange {
            what: "errno",
            number: number.into(),
        });
    }
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(number),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(number),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        name => return Err(unsupported("action", name)),
    })
}

fn unsupported(what: &'static str, name: &str) -> ProfileError {
    ProfileError::Unsupported {
        what,
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::compile::compile;
    use crate::seccomp::simulator::{ALLOW, Call, ENOSYS, EPERM, KILL, run};

    const KERNEL: (u32, u32) = (6, 1);

    fn parse_here(json: &str) -> Result<Profile, ProfileError> {
        parse_for(json, CapabilitySet::default(), KERNEL)
    }

    /// What becomes of a call of x86-64 with this first argument.
    fn outcome(json: &str, name: &str, argument: u64) -> u32 {
        let call = Call::named(Architecture::X86_64, name).with_argument(0, argument);
        run(&compile(&parse_here(json).unwrap()).unwrap(), &call)
    }

    /// A profile that refuses, with these rules.
    fn refusing(rules: &str) -> String {
        format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#)
    }

    /// A profile that allows, with these rules.
    fn allowing(rules: &str) -> String {
        format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rules}]}}"#)
    }

    #[test]
    fn a_list_of_names_is_allowed_and_the_rest_is_not() {
        let json = refusing(r#"{"names": ["read", "write", "exit"], "action": "SCMP_ACT_ALLOW"}"#);
        assert_eq!(outcome(&json, "read", 0), ALLOW);
        assert_eq!(outcome(&json, "open", 0), EPERM);
        // Newer than the newest that it names.
        assert_eq!(outcome(&json, "clone3", 0), ENOSYS);
    }

    #[test]
    fn a_profile_that_allows_can_refuse_with_any_errno() {
        let json = allowing(r#"{"name": "chmod", "action": "SCMP_ACT_ERRNO", "errnoRet": 38}"#);
        assert_eq!(outcome(&json, "chmod", 0), ENOSYS);
        assert_eq!(outcome(&json, "chown", 0), ALLOW);
        assert_eq!(outcome(&json, "file_setattr", 0), ALLOW);
    }

    #[test]
    fn what_is_refused_is_not_there_through_another_interface() {
        let json = allowing(r#"{"name": "chmod", "action": "SCMP_ACT_ERRNO"}"#);
        let filter = compile(&parse_here(&json).unwrap()).unwrap();
        let chmod = Call::named(Architecture::X86_64, "chmod");
        assert_eq!(run(&filter, &chmod), EPERM);
        let x32 = Call::numbered(Architecture::X86_64, 0x4000_0000 | 90);
        assert_eq!(run(&filter, &x32), ENOSYS);
        assert_eq!(
            run(&filter, &Call::named(Architecture::I386, "chmod")),
            KILL
        );
        assert_eq!(run(&filter, &chmod.of_architecture(0xC000_00B7)), KILL);
    }

    #[test]
    fn i386_is_there_if_the_profile_names_it() {
        for (key, value) in [
            ("architectures", r#"["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]"#),
            (
                "archMap",
                r#"[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                    {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}]"#,
            ),
        ] {
            let json = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "{key}": {value}}}"#);
            let profile = parse_here(&json).unwrap();
            assert_eq!(profile.architectures, Architecture::ALL, "{key}");
        }
    }

    #[test]
    fn conditions_are_compared_as_they_say() {
        for (operator, value, allowed, refused) in [
            ("EQ", 7_u64, 7_u64, 6_u64),
            ("NE", 7, 6, 7),
            ("LT", 7, 6, 7),
            ("LE", 7, 7, 8),
            ("GE", 7, 7, 6),
            ("GT", 7, 8, 7),
            ("MASKED_EQ", 0xF0, 0x3F, 0x4F),
            ("EQ", 1 << 40, 1 << 40, 0),
        ] {
            let json = refusing(&format!(
                r#"{{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args":
                    [{{"index": 0, "value": {value}, "valueTwo": 48, "op": "SCMP_CMP_{operator}"}}]}}"#
            ));
            assert_eq!(outcome(&json, "personality", allowed), ALLOW, "{operator}");
            assert_eq!(outcome(&json, "personality", refused), EPERM, "{operator}");
        }
    }

    #[test]
    fn two_conditions_on_one_argument_are_alternatives() {
        let json = refusing(
            r#"{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args":
                [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                 {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}"#,
        );
        for (argument, expected) in [(1, ALLOW), (2, ALLOW), (3, EPERM)] {
            assert_eq!(outcome(&json, "personality", argument), expected);
        }
    }

    #[test]
    fn rules_depend_on_capabilities_architecture_and_kernel() {
        for (condition, holds) in [
            (r#""includes": {"caps": ["CAP_CHOWN"]}"#, true),
            (
                r#""includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}"#,
                false,
            ),
            (r#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#, true),
            (
                r#""excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}"#,
                false,
            ),
            (r#""includes": {"arches": ["amd64", "x32"]}"#, true),
            (r#""includes": {"arches": ["arm64"]}"#, false),
            (r#""excludes": {"arches": ["amd64"]}"#, false),
            (r#""includes": {"minKernel": "4.8"}"#, true),
            (r#""includes": {"minKernel": "6.1"}"#, true),
            (r#""includes": {"minKernel": "6.10"}"#, false),
            (r#""excludes": {"minKernel": "4.8"}"#, false),
            (
                r#""includes": {}, "excludes": {}, "comment": "", "args": null"#,
                true,
            ),
        ] {
            let rule = format!(r#"{{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", {condition}}}"#);
            let allowed = outcome(&refusing(&rule), "bpf", 0) == ALLOW;
            assert_eq!(allowed, holds, "{condition}");
        }
    }

    #[test]
    fn what_can_not_be_honoured_is_refused_by_name() {
        let rule = |rest: &str| refusing(&format!(r#"{{"names": ["read"], {rest}}}"#));
        let allow = r#""action": "SCMP_ACT_ALLOW""#;
        for (json, said) in [
            (
                rule(r#""action": "SCMP_ACT_NOTIFY""#),
                "action \"SCMP_ACT_NOTIFY\"",
            ),
            (
                rule(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 4096"#),
                "errno 4096",
            ),
            (rule(&format!(r#"{allow}, "name": "x""#)), "both \"name\""),
            (
                rule(&format!(r#"{allow}, "includes": {{"caps": ["X"]}}"#)),
                "\"X\"",
            ),
            (
                rule(&format!(r#"{allow}, "includes": {{"minKernel": "x"}}"#)),
                "\"x\"",
            ),
            (
                rule(&format!(
                    r#"{allow}, "args": [{{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}}]"#
                )),
                "rgument",
            ),
            (
                rule(&format!(
                    r#"{allow}, "args": [{{"index": 0, "value": 1, "op": "EQ"}}]"#
                )),
                "comparison \"EQ\"",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}"#
                    .into(),
                "SECCOMP_FILTER_FLAG_LOG",
            ),
            (
                allowing(r#"{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}"#),
                "\"no_such_call\"",
            ),
            (" ".repeat(MAX_BYTES + 1), "1048577 bytes"),
        ] {
            let error = parse_here(&json).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| error.contains(said)),
                "{said}: {error:?}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        for json in [
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}"#.to_owned(),
            refusing(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "exclude": {}}"#),
            "[]".to_owned(),
            String::new(),
            "[".repeat(100_000),
        ] {
            assert!(matches!(parse_here(&json), Err(ProfileError::Format(_))));
        }
    }

    #[test]
    fn a_profile_that_becomes_too_large_is_refused() {
        let one = r#"{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args":
            [{"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;
        let json = refusing(&[one; 2000].join(","));
        assert!(compile(&parse_here(&json).unwrap()).is_err());
    }
}
