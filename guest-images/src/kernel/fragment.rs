/// The first line of a configuration fragment that a whole configuration does not obey: an
/// option is silently dropped when something that it depends on is not there.
pub(super) fn first_ignored<'a>(fragment: &'a str, config: &str) -> Option<&'a str> {
    fragment
        .lines()
        .map(str::trim)
        .find(|line| !is_obeyed(line, config))
}

fn is_obeyed(line: &str, config: &str) -> bool {
    let has = |wanted: &dyn Fn(&str) -> bool| config.lines().any(|line| wanted(line.trim()));
    if line.starts_with("CONFIG_") {
        return has(&|in_config| in_config == line);
    }
    match line
        .strip_prefix("# ")
        .and_then(|rest| rest.strip_suffix(" is not set"))
    {
        // It is not set either way: said so, or not there at all.
        Some(name) => !has(&|in_config| {
            in_config
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='))
        }),
        // A comment.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_was_dropped_is_named() {
        let config = "# comment\nCONFIG_A=y\nCONFIG_NAME=\"jaula\"\n# CONFIG_B is not set\n\
            CONFIG_CD=y\nCONFIG_E=m\n";
        for (fragment, ignored) in [
            ("", None),
            ("# about it\n\nCONFIG_A=y\nCONFIG_NAME=\"jaula\"", None),
            ("# CONFIG_B is not set\n# CONFIG_C is not set", None),
            ("CONFIG_A=y\nCONFIG_B=y\n", Some("CONFIG_B=y")),
            ("CONFIG_E=y", Some("CONFIG_E=y")),
            ("CONFIG_NAME=\"other\"", Some("CONFIG_NAME=\"other\"")),
            ("# CONFIG_A is not set", Some("# CONFIG_A is not set")),
            ("CONFIG_MISSING=y", Some("CONFIG_MISSING=y")),
        ] {
            assert_eq!(first_ignored(fragment, config), ignored, "{fragment:?}");
        }
    }
}
