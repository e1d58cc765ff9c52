//! A tracepoint of the kernel's, as tracefs describes it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::ObserveError;

/// What is told when it is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracepoint {
    id: u16,
    /// Where the fields of interest are in what is told, in the order in which they were asked for.
    fields: Vec<Field>,
    /// Names of values, table by table.
    symbols: Vec<Vec<(u64, String)>>,
}

/// A number in what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    offset: usize,
    bytes: usize,
}

impl Tracepoint {
    /// The one of this name, in whose records these fields are of interest.
    pub(super) fn find(name: &'static str, fields: &[&str]) -> Result<Self, ObserveError> {
        let find = || {
            let text = format(name)?;
            Self::parse(&text, fields).ok_or_else(|| io::ErrorKind::InvalidData.into())
        };
        find().map_err(|source| ObserveError::Tracepoint { name, source })
    }

    /// The kernel's number of it.
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// The values of the fields of interest in a record, as one key: 32 bits of each.
    pub(super) fn key(&self, record: &[u8]) -> Option<u64> {
        self.fields.iter().try_fold(0, |key: u64, field| {
            let bytes = record.get(field.offset..field.offset.checked_add(field.bytes)?)?;
            let low = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
            Some(key << 32 | u64::from(low))
        })
    }

    /// What a value is called in one of its tables.
    pub(super) fn symbol(&self, table: usize, value: u64) -> Option<&str> {
        let mut names = self.symbols.get(table)?.iter();
        names
            .find(|(number, _)| *number == value)
            .map(|(_, name)| name.as_str())
    }

    fn parse(text: &str, fields: &[&str]) -> Option<Self> {
        let id = text.lines().find_map(|line| line.strip_prefix("ID: "))?;
        let find = |name: &&str| text.lines().find_map(|line| field(line, name));
        Some(Self {
            id: id.trim().parse().ok()?,
            fields: fields.iter().map(find).collect::<Option<_>>()?,
            symbols: text
                .split("__print_symbolic(")
                .skip(1)
                .map(symbols)
                .collect(),
        })
    }
}

/// How a tracepoint's records are made up.
fn format(name: &str) -> io::Result<String> {
    let format = openat(
        tracefs()?,
        format!("events/{name}/format"),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut text = String::new();
    File::from(format).read_to_string(&mut text)?;
    Ok(text)
}

/// A mount that has no place, and goes with its descriptor: whether the host has mounted tracefs
/// does not matter.
fn tracefs() -> io::Result<OwnedFd> {
    let tracefs = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(tracefs.as_fd())?;
    let mount = fsmount(
        tracefs.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?;
    Ok(mount)
}

/// `field:unsigned int exit_reason; offset:8; size:4; signed:0;`
fn field(line: &str, name: &str) -> Option<Field> {
    let mut parts = line
        .trim()
        .strip_prefix("field:")?
        .split(';')
        .map(str::trim);
    let declared = parts.next()?.rsplit(' ').next()?;
    if declared != name {
        return None;
    }
    let number = |part: Option<&str>, key: &str| part?.strip_prefix(key)?.parse().ok();
    let offset = number(parts.next(), "offset:")?;
    let bytes = number(parts.next(), "size:")?;
    (bytes >= 4).then_some(Field { offset, bytes })
}

/// `REC->reason, { 2, "KVM_EXIT_" "IO" }, { 0x040 + 14, "PF excp" }, ...`, up to the end of the call.
fn symbols(text: &str) -> Vec<(u64, String)> {
    let mut entries = text.split('{').skip(1);
    let mut all = Vec::new();
    for entry in &mut entries {
        let Some((inner, rest)) = entry.split_once('}') else {
            break;
        };
        if let Some(symbol) = symbol(inner) {
            all.push(symbol);
        }
        if rest.trim_start().starts_with(')') {
            break;
        }
    }
    all
}

fn symbol(text: &str) -> Option<(u64, String)> {
    let (value, name) = text.split_once(',')?;
    let sum = value.split('+').map(number).sum::<Option<u64>>()?;
    // Texts side by side are one, as in C.
    let name: String = name.split('"').skip(1).step_by(2).collect();
    Some((sum, name))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Tracepoint {
        /// One of both kinds of processors.
        pub(in crate::observed) fn example() -> Self {
            Self::parse(EXIT, &["exit_reason", "isa"]).unwrap()
        }
    }

    const EXIT: &str = "name: kvm_exit\nID: 103\nformat:\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:unsigned int exit_reason;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:u32 isa;\toffset:24;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"vcpu %u\", (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, \
        { 0, \"EXCEPTION_NMI\" }, { 12, \"HLT\" }) : __print_symbolic(REC->exit_reason, \
        { 0x078, \"hlt\" }, { 0x040 + 14, \"PF excp\" }, { -1, \"invalid\" }), \
        __print_flags(REC->exit_reason, \" \", { 0x80000000, \"FAILED\" })\n";

    #[test]
    fn a_tracepoint_has_a_number_fields_and_names() {
        let found = Tracepoint::example();
        assert_eq!(found.id(), 103);
        let mut record = [0; 28];
        record[8] = 0x78;
        record[24] = 2;
        assert_eq!(found.key(&record), Some(0x78 << 32 | 2));
        assert_eq!(found.symbol(0, 12), Some("HLT"));
        assert_eq!(found.symbol(1, 0x78), Some("hlt"));
        assert_eq!(found.symbol(1, 0x4e), Some("PF excp"));
        assert_eq!(found.symbol(1, 12), None);
        assert_eq!(found.symbol(1, 0x8000_0000), None);
    }

    #[test]
    fn names_of_two_texts_are_one() {
        let text = "REC->reason, { 2, \"KVM_EXIT_\" \"IO\" }), REC->errno";
        assert_eq!(symbols(text), [(2, "KVM_EXIT_IO".to_owned())]);
    }

    #[test]
    fn what_lacks_a_field_is_none() {
        assert_eq!(Tracepoint::parse(EXIT, &["id"]), None);
        assert_eq!(Tracepoint::parse("", &[]), None);
    }

    #[test]
    fn a_record_that_is_too_short_has_no_key() {
        let found = Tracepoint::example();
        assert_eq!(found.key(&[0; 27]), None);
    }

    proptest! {
        #[test]
        fn no_text_and_no_record_is_too_strange(text in ".{0,200}", record in any::<Vec<u8>>()) {
            let _ = symbols(&text);
            let with_field = format!("ID: 1\nfield:long id; {text}");
            if let Some(found) = Tracepoint::parse(&with_field, &["id"]) {
                let _ = found.key(&record);
            }
        }
    }
}
