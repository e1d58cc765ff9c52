use std::fs::File;
use std::io;

use host::search_path::is_installed;
use launch::Finding;

const SUBJECT: &str = "user network";

/// Whether an ordinary user's instances can have a network.
pub fn user_mode_finding() -> Finding {
    let tun = File::options().read(true).write(true).open("/dev/net/tun");
    finding(program(), tun.map(drop))
}

/// The one that will be used.
fn program() -> Option<&'static str> {
    ["pasta", "slirp4netns"]
        .into_iter()
        .find(|name| is_installed(name))
}

fn finding(program: Option<&str>, tun: io::Result<()>) -> Finding {
    let lost = "--network bridge and -p can't be had";
    let Some(program) = program else {
        let detail = format!("neither pasta nor slirp4netns is in PATH; {lost}");
        return Finding::note(SUBJECT, detail).with_remedy("install passt");
    };
    match tun {
        Ok(()) => Finding::good(SUBJECT, format!("{program} is there")),
        Err(error) => Finding::note(SUBJECT, format!("/dev/net/tun: {error}; {lost}"))
            .with_remedy("load the module tun, and let everybody use it: chmod 666 /dev/net/tun"),
    }
}

#[cfg(test)]
mod tests {
    use launch::Level;

    use super::*;

    #[test]
    fn it_takes_a_program_and_a_device() {
        for (program, tun, level, word) in [
            (Some("pasta"), Ok(()), Level::Good, "pasta"),
            (None, Ok(()), Level::Note, "slirp4netns"),
            (
                Some("pasta"),
                Err(io::ErrorKind::NotFound.into()),
                Level::Note,
                "/dev/net/tun",
            ),
        ] {
            let finding = finding(program, tun);
            assert_eq!(finding.level, level);
            assert!(finding.detail.contains(word), "{finding:?}");
        }
    }
}
