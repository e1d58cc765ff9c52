//! `/etc/subuid` and `/etc/subgid`, subuid(5).

use std::fs;
use std::path::Path;

/// IDs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The lowest.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl Range {
    /// None that is no ID, or is none of the user's to give: the last number means "no ID".
    fn new(first: u32, count: u32) -> Option<Self> {
        let end = first.checked_add(count)?;
        (count > 0 && first > 0 && end < u32::MAX).then_some(Self { first, count })
    }

    fn overlaps(self, other: Self) -> bool {
        self.first < other.first.saturating_add(other.count)
            && other.first < self.first.saturating_add(self.count)
    }
}

/// As many extents as a map can have (user_namespaces(7)), but for the caller's own.
const MOST: usize = 339;

/// The name of a user in `/etc/passwd`.
pub(super) fn login_name(uid: u32) -> Option<String> {
    // Not getpwuid(3), which a static program can't have.
    login_name_in(&fs::read_to_string("/etc/passwd").ok()?, uid)
}

fn login_name_in(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
    })
}

/// The ranges that a file gives to the user of this name and number. `own` is the caller's own ID,
/// which is mapped anyway.
pub(super) fn read(file: &Path, name: Option<&str>, uid: u32, own: u32) -> Vec<Range> {
    parse(
        &fs::read_to_string(file).unwrap_or_default(),
        name,
        uid,
        own,
    )
}

fn parse(text: &str, name: Option<&str>, uid: u32, own: u32) -> Vec<Range> {
    let uid = uid.to_string();
    let mut found = vec![Range {
        first: own,
        count: 1,
    }];
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let (Some(whose), Some(first), Some(count), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let is_theirs = Some(whose) == name || whose == uid;
        let numbers = (first.parse().ok(), count.parse().ok());
        if is_theirs
            && let (Some(first), Some(count)) = numbers
            && let Some(range) = Range::new(first, count)
            // The kernel takes no ID twice, and some files give it by name and by number.
            && !found.iter().any(|it| it.overlaps(range))
            && found.len() <= MOST
        {
            found.push(range);
        }
    }
    found.remove(0);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u32, count: u32) -> Range {
        Range { first, count }
    }

    #[test]
    fn ranges_are_given_by_name_or_number_on_several_lines() {
        let text = "\
other:100000:65536
ann:200000:65536
# ann:1:1
ann:400000:10
1000:300000:5
1001:500000:5
ann:200000:65536
";
        let ann = [range(200_000, 65536), range(400_000, 10), range(300_000, 5)];
        assert_eq!(parse(text, Some("ann"), 1000, 1000), ann);
        assert_eq!(parse(text, None, 1000, 1000), [range(300_000, 5)]);
        assert_eq!(parse(text, Some("bob"), 7, 7), []);
    }

    #[test]
    fn what_is_no_range_of_theirs_is_left_out() {
        for line in [
            "",
            "ann",
            "ann:1",
            "ann:100:0",
            "ann:0:10",
            "ann:-1:10",
            "ann:4294967290:5",
            "ann:4294967295:1",
            "ann:99999999999:1",
            "ann:100:1:2",
            "anna:100:1",
            ":100:1",
            // The caller itself, who is mapped anyway.
            "ann:999:2",
        ] {
            assert_eq!(parse(line, Some("ann"), 1000, 1000), [], "{line:?}");
        }
    }

    #[test]
    fn a_name_is_that_of_the_first_line_with_the_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n:x:7:7::/:\nann:x:1000:1000::/:\nb:x:1000:1::/:\n";
        assert_eq!(login_name_in(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(login_name_in(passwd, 100), None);
        assert_eq!(login_name_in(passwd, 7), None);
    }

    proptest! {
        #[test]
        fn no_id_is_given_twice_whatever_the_file_says(
            lines in proptest::collection::vec((any::<u32>(), 0..100_000_u32), 0..20)
        ) {
            let text: String = lines.iter().map(|(a, b)| format!("x:{a}:{b}\n")).collect();
            let found = parse(&text, Some("x"), 5, 5);
            for (index, one) in found.iter().enumerate() {
                prop_assert!(!one.overlaps(range(5, 1)));
                prop_assert!(found.iter().skip(index + 1).all(|other| !one.overlaps(*other)));
            }
        }
    }
}
