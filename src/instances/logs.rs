//! `jaula logs`.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::SystemTime;

use host::instances::log::{Entry, LogReader, Stream};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::follow::Follower;
use super::{Failure, World};
use crate::args::{LogsArgs, Tail};
use crate::error::Error;

/// Prints what the instance said to where it said it: standard output or error.
pub fn logs(args: &LogsArgs) -> Result<u8, Error> {
    let world = World::open()?;
    let found = world.instances.find(&args.name).map_err(Failure::from)?;
    if !found.record.asked.detached {
        return Err(Failure::NotLogged(found.record.name).into());
    }
    let cant_read = |source| Failure::io(&found, "read the log of")(source);
    // Opened before anything is read, so that its end is not missed.
    let mut follower = Follower::of(&found)?;
    let Some(mut reader) = LogReader::open(found.dir()).map_err(cant_read)? else {
        return Ok(0);
    };
    // As everything that is piped into `head`.
    // SAFETY: the default disposition runs no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map_err(io::Error::from)?;

    let is_recent = |entry: &Entry<'_>| is_since(entry, args.since);
    let mut kept = VecDeque::new();
    while let Some(entry) = reader.next_entry().map_err(cant_read)? {
        if !is_recent(&entry) {
            continue;
        }
        match args.tail {
            Tail::All => print(&entry, args.timestamps)?,
            Tail::Last(lines) => {
                kept.push_back(entry);
                if kept.len() > lines {
                    kept.pop_front();
                }
            }
        }
    }
    for entry in kept {
        print(&entry, args.timestamps)?;
    }
    let mut goes_on = args.follow;
    while goes_on {
        // Asked first: what it says before it ends is there then.
        goes_on = follower.pause()?;
        while let Some(entry) = reader.next_entry().map_err(cant_read)? {
            if is_recent(&entry) {
                print(&entry, args.timestamps)?;
            }
        }
    }
    Ok(0)
}

/// An entry whose time can't be read is of any time.
fn is_since(entry: &Entry<'_>, since: Option<SystemTime>) -> bool {
    match (entry.moment(), since) {
        (Some(moment), Some(since)) => moment >= since,
        _ => true,
    }
}

fn print(entry: &Entry<'_>, timestamps: bool) -> io::Result<()> {
    let mut line = String::new();
    if timestamps {
        line.push_str(&entry.time);
        line.push(' ');
    }
    line.push_str(&entry.log);
    match entry.stream {
        Stream::Stdout => write(io::stdout().lock(), &line),
        Stream::Stderr => write(io::stderr().lock(), &line),
    }
}

fn write(mut to: impl Write, line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn only_what_is_known_to_be_older_is_left_out() {
        let entry = |time: &'static str| Entry {
            log: "x\n".into(),
            stream: Stream::Stdout,
            time: time.into(),
        };
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        for (time, since, expected) in [
            ("1970-01-01T00:00:10.000000000Z", None, true),
            ("1970-01-01T00:00:10.000000000Z", at(10), true),
            ("1970-01-01T00:00:09.999999999Z", at(10), false),
            ("at noon", at(10), true),
        ] {
            assert_eq!(is_since(&entry(time), since), expected, "{time} {since:?}");
        }
    }
}
