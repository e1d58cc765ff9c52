//! The format of `passwd(5)` and `group(5)`, from an image that may hold anything: a line that
//! is none is passed over, as the C library does.

/// A line of `/etc/passwd`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PasswdEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: &'a [u8],
}

/// A line of `/etc/group`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GroupEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) gid: u32,
    members: &'a [u8],
}

impl<'a> GroupEntry<'a> {
    pub(super) fn members(&self) -> impl Iterator<Item = &'a [u8]> {
        self.members.split(|byte| *byte == b',')
    }
}

/// The entries of an `/etc/passwd`.
pub(super) fn passwd(text: &[u8]) -> impl Iterator<Item = PasswdEntry<'_>> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let uid = id(fields.next()?)?;
        let gid = id(fields.next()?)?;
        let _comment = fields.next();
        let home = fields.next().unwrap_or_default();
        Some(PasswdEntry {
            name,
            uid,
            gid,
            home,
        })
    })
}

/// The entries of an `/etc/group`.
pub(super) fn group(text: &[u8]) -> impl Iterator<Item = GroupEntry<'_>> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let gid = id(fields.next()?)?;
        let members = fields.next().unwrap_or_default();
        Some(GroupEntry { name, gid, members })
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

fn id(field: &[u8]) -> Option<u32> {
    // -1 in setresuid(2) means "leave as it is".
    let id = str::from_utf8(field).ok()?.parse().ok()?;
    (id != u32::MAX).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let text = b"\n#comment\n:x:1:1::/:\nno-ids\na:x:b:1::/:\nb:x:1:-1::/:\n\
            c:x:4294967295:1::/:\nd:x:1:2::/home\0\xff:\ne:x:3:4";
        let entries: Vec<_> = passwd(text)
            .map(|e| (e.name, e.uid, e.gid, e.home))
            .collect();
        assert_eq!(
            entries,
            [(&b"d"[..], 1, 2, &b"/home\0\xff"[..]), (b"e", 3, 4, b""),]
        );
    }

    #[test]
    fn a_group_lists_its_members() {
        let groups: Vec<_> = group(b"a:x:1:b,c\nd:x:2:\ne:x:3")
            .map(|group| (group.gid, group.members().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            groups,
            [
                (1, vec![&b"b"[..], b"c"]),
                (2, vec![&b""[..]]),
                (3, vec![&b""[..]]),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parsers_panic(text: Vec<u8>, line in "[a-z:0-9,\n-]{0,200}") {
            for text in [text.as_slice(), line.as_bytes()] {
                let _ = passwd(text).count();
                let _ = group(text).flat_map(|group| group.members().count().checked_add(1)).count();
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            name in "[a-z][a-z0-9_-]{0,30}", uid in 0..u32::MAX, gid in 0..u32::MAX, home in "/[a-z/]{0,40}"
        ) {
            let text = format!("{name}:x:{uid}:{gid}:comment:{home}:/bin/sh\n");
            let entries: Vec<_> = passwd(text.as_bytes()).collect();
            prop_assert_eq!(entries, vec![PasswdEntry {
                name: name.as_bytes(), uid, gid, home: home.as_bytes(),
            }]);
        }
    }
}
