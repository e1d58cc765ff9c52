//! `--filter` of `jaula images`.

use std::str::FromStr;

use super::Invalid;

/// What an image has to be like to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageFilter {
    /// Its name, with or without its tag, fits this pattern (see [`fits`]).
    Reference(String),
    /// It has this label, with this value if one is given.
    Label(String, Option<String>),
    /// Whether it has lost all its names.
    Dangling(bool),
    /// It was made before the image of this name or ID.
    Before(String),
    /// It was made after the image of this name or ID.
    Since(String),
}

impl FromStr for ImageFilter {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::new(
                "takes reference=PATTERN, label=NAME[=VALUE], dangling=true|false, before=IMAGE or since=IMAGE",
            )
        };
        let (what, value) = given.split_once('=').ok_or_else(invalid)?;
        Ok(match what {
            "reference" => Self::Reference(value.to_owned()),
            "label" => match value.split_once('=') {
                Some((name, value)) => Self::Label(name.to_owned(), Some(value.to_owned())),
                None => Self::Label(value.to_owned(), None),
            },
            "dangling" => Self::Dangling(value.parse().map_err(|_| invalid())?),
            "before" => Self::Before(value.to_owned()),
            "since" => Self::Since(value.to_owned()),
            _ => return Err(invalid()),
        })
    }
}

/// Whether `text` fits the pattern: `*` is any text without a slash, `?` any letter but that.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    // Which beginnings of the text fit what was read of the pattern.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for p in pattern {
        if p == '*' {
            for at in 0..text.len() {
                ends[at + 1] |= ends[at] && text[at] != '/';
            }
            continue;
        }
        for at in (0..text.len()).rev() {
            let is_it = p == text[at] || (p == '?' && text[at] != '/');
            ends[at + 1] = ends[at] && is_it;
        }
        ends[0] = false;
    }
    ends[text.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_says_of_what_it_speaks() {
        for (given, expected) in [
            ("reference=a*", Some(ImageFilter::Reference("a*".into()))),
            ("label=a", Some(ImageFilter::Label("a".into(), None))),
            (
                "label=a=b=c",
                Some(ImageFilter::Label("a".into(), Some("b=c".into()))),
            ),
            ("dangling=true", Some(ImageFilter::Dangling(true))),
            ("dangling=x", None),
            ("before=a:1", Some(ImageFilter::Before("a:1".into()))),
            ("since=a", Some(ImageFilter::Since("a".into()))),
            ("until=a", None),
            ("a", None),
        ] {
            assert_eq!(given.parse().ok(), expected, "{given}");
        }
    }

    #[test]
    fn a_pattern_stands_for_texts() {
        for (pattern, text, expected) in [
            ("debian", "debian", true),
            ("debian", "debian:13", false),
            ("deb*", "debian:13", true),
            ("*:1?", "debian:13", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("?", "/", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbX", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "a", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_fits_itself(text in "[a-z/:.]{0,20}", pattern in "[ab*?/]{0,30}") {
            prop_assert!(fits(&text, &text));
            let _ = fits(&pattern, &text);
        }
    }
}
