//! A seccomp profile in docker's format, and the filter that is made of it.

use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};

use crate::allocation;
use crate::fields::{number, number32, seldom};

/// What a profile of some rules is compiled with.
const MAX_ALLOCATED_BYTES: usize = 16 << 20;

const ACTIONS: [&str; 10] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_NOTIFY",
    "",
];

const OPERATORS: [&str; 8] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
    "",
];

const CALLS: [&str; 8] = [
    "read",
    "write",
    "openat",
    "clone",
    "personality",
    "socketcall",
    "no_call",
    "",
];

const ARCHITECTURES: [&str; 5] = [
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_AARCH64",
    "",
];

/// Feeds it one input: a profile that is made of it, or it itself.
pub fn run(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok(profile) = profile(&mut u) else { return };
    let given = std::str::from_utf8(input).unwrap_or_default();
    allocation::limited(MAX_ALLOCATED_BYTES, || {
        for json in [&profile.to_string(), given] {
            // Whether it is one is not for us to say.
            let _ = container::is_seccomp_profile(json);
        }
    });
}

fn profile(u: &mut Unstructured<'_>) -> Result<Value> {
    let rules = (0..u.int_in_range(0..=12)?)
        .map(|_| rule(u))
        .collect::<Result<Vec<_>>>()?;
    let architectures = (0..u.int_in_range(0..=2)?)
        .map(|_| u.choose(&ARCHITECTURES).copied())
        .collect::<Result<Vec<_>>>()?;
    let mut profile = json!({
        "defaultAction": *u.choose(&ACTIONS)?,
        "architectures": architectures,
        "syscalls": rules,
    });
    if seldom(u, 4)? {
        profile["defaultErrnoRet"] = number32(u, 5000)?.into();
    }
    Ok(profile)
}

fn rule(u: &mut Unstructured<'_>) -> Result<Value> {
    let names = (0..u.int_in_range(1..=3)?)
        .map(|_| u.choose(&CALLS).copied())
        .collect::<Result<Vec<_>>>()?;
    let arguments = (0..u.int_in_range(0..=4)?)
        .map(|_| {
            Ok(json!({
                "index": number32(u, 7)?,
                "value": number(u, 1 << 33)?,
                "valueTwo": number(u, 16)?,
                "op": *u.choose(&OPERATORS)?,
            }))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut rule = json!({
        "names": names,
        "action": *u.choose(&ACTIONS)?,
        "args": arguments,
    });
    match u.int_in_range(0..=7u8)? {
        0 => rule["errnoRet"] = number32(u, 5000)?.into(),
        1 => rule["includes"] = json!({ "caps": ["CAP_SYS_ADMIN"], "minKernel": "4.8" }),
        2 => rule["excludes"] = json!({ "caps": ["CAP_CHOWN"], "arches": ["amd64"] }),
        3 => rule["includes"] = json!({ "minKernel": number(u, 9)?.to_string() }),
        _ => (),
    }
    Ok(rule)
}
