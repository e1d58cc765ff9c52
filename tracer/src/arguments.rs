//! The arguments of a call, written as in a program.

use std::fmt::Write;
use std::fs;

use nix::unistd::Pid;

use crate::memory;
use crate::names;
use crate::signatures::{Kind, signature};

/// How many arguments of a call that has no signature are shown: most have no more.
const ARGUMENTS_OF_UNKNOWN: usize = 3;

/// The arguments of the call `name` that `pid` has entered.
pub(crate) fn arguments(pid: Pid, name: &str, raw: [u64; 6]) -> String {
    let words: Vec<String> = match signature(name) {
        Some(kinds) => {
            let pairs = kinds.iter().zip(raw).enumerate();
            pairs
                .map(|(index, (&kind, value))| argument(pid, kind, value, raw.get(index + 1)))
                .collect()
        }
        None => raw[..ARGUMENTS_OF_UNKNOWN]
            .iter()
            .map(|value| format!("{value:#x}"))
            .collect(),
    };
    words.join(", ")
}

fn argument(pid: Pid, kind: Kind, value: u64, next: Option<&u64>) -> String {
    match kind {
        // All of them are `int` or `size_t`: what looks negative is.
        Kind::Number => format!("{}", value.cast_signed()),
        Kind::Hex => format!("{value:#x}"),
        Kind::Mode => format!("{value:#o}"),
        Kind::Descriptor => descriptor(pid, value),
        Kind::Text => match memory::text(pid, value) {
            Some(text) => format!("{text:?}"),
            None => address(value),
        },
        Kind::Data => match memory::data(pid, value, next.copied().unwrap_or(0)) {
            Some(data) => format!("\"{}\"", data.escape_ascii()),
            None => address(value),
        },
        Kind::Flags(table) => names::flags(value, &[table]),
        Kind::One(table) => names::one(value, table),
        Kind::CloneArgs => match memory::bytes::<8>(pid, value) {
            // Its first field, clone(2).
            Some(flags) => names::flags(u64::from_ne_bytes(flags), &[names::CLONE, names::CLONE3]),
            None => address(value),
        },
        Kind::OpenHow => match memory::bytes::<24>(pid, value) {
            Some(how) => open_how(how),
            None => address(value),
        },
        Kind::Message => match memory::bytes::<48>(pid, value) {
            Some(header) => message(header),
            None => address(value),
        },
        Kind::Address => address(value),
    }
}

fn address(value: u64) -> String {
    match value {
        0 => "NULL".into(),
        _ => "…".into(),
    }
}

/// What a `struct msghdr` has beside its data: descriptors, mostly. sendmsg(2).
fn message(header: [u8; 48]) -> String {
    match field(&header, 5) {
        0 => "…".into(),
        length => format!("{{msg_controllen={length}}}"),
    }
}

/// That of 64 bits with this number.
fn field(fields: &[u8], number: usize) -> u64 {
    let bytes = fields.get(number * 8..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// `flags`, `mode` and `resolve`, 64 bits each, openat2(2).
fn open_how(how: [u8; 24]) -> String {
    let mut text = names::flags(field(&how, 0), &[names::OPEN]);
    if field(&how, 2) != 0 {
        // A formatted write to a string can't fail.
        let _ = write!(text, " {}", names::flags(field(&how, 2), &[names::RESOLVE]));
    }
    text
}

/// The number, with what it stands for. A path says more than its number does.
fn descriptor(pid: Pid, value: u64) -> String {
    // It is an `int`, whose upper half the kernel ignores.
    match value as i32 {
        libc::AT_FDCWD => "AT_FDCWD".into(),
        number if number < 0 => number.to_string(),
        number => match fs::read_link(format!("/proc/{pid}/fd/{number}")) {
            Ok(target) => format!("{number}<{}>", target.display()),
            Err(_) => number.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use nix::unistd::getpid;

    use super::*;

    fn of_ours(name: &str, raw: &[u64]) -> String {
        let mut arguments_raw = [0; 6];
        arguments_raw[..raw.len()].copy_from_slice(raw);
        arguments(getpid(), name, arguments_raw)
    }

    #[test]
    fn arguments_are_written_as_in_a_program() {
        let text = c"/a \"b\"".as_ptr() as u64;
        let clone_args = [0x2_0000_0000_u64 | libc::CLONE_NEWPID as u64; 11];
        let how = [libc::O_PATH as u64, 0, libc::RESOLVE_IN_ROOT];
        let header = [0, 0, 0, 0, 0, 44, 0_u64];
        let minus_one = u64::from(u32::MAX);
        for (name, raw, expected) in [
            ("mkdir", &[text][..], r#""/a \"b\"""#),
            ("mkdir", &[0], "NULL"),
            ("sethostname", &[text, 2], r#""/a", 2"#),
            (
                "mkdirat",
                &[libc::AT_FDCWD as u64, text, 0o755],
                r#"AT_FDCWD, "/a \"b\"", 0o755"#,
            ),
            ("ioctl", &[minus_one, 0xae01, 0], "-1, KVM_CREATE_VM, 0x0"),
            (
                "clone3",
                &[clone_args.as_ptr() as u64, 88],
                "CLONE_NEWPID|CLONE_INTO_CGROUP, 88",
            ),
            (
                "openat2",
                &[libc::AT_FDCWD as u64, text, how.as_ptr() as u64],
                r#"AT_FDCWD, "/a \"b\"", O_PATH RESOLVE_IN_ROOT"#,
            ),
            (
                "sendmsg",
                &[minus_one, header.as_ptr() as u64],
                "-1, {msg_controllen=44}",
            ),
            ("setsid", &[], ""),
            ("a call of next year", &[1, 2, 3, 4], "0x1, 0x2, 0x3"),
        ] {
            assert_eq!(of_ours(name, raw), expected, "{name}");
        }
    }

    #[test]
    fn a_descriptor_is_shown_with_what_it_stands_for() {
        let null = File::open("/dev/null").unwrap();
        let number = null.as_raw_fd();
        let shown = of_ours("close", &[number as u64]);
        assert_eq!(shown, format!("{number}</dev/null>"));
    }
}
