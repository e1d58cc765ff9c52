//! One assignment from its receipt to its end.

use std::sync::Arc;

use launch::MonotonicNs;

use super::assignment::{Assignment, Job};
use super::launcher_watch::LauncherWatch;
use super::session::{Session, SessionError};
use super::{Channel, instance, template};
use crate::snapshot::LeaseBreaks;

/// Does what the launcher tells, to its end or the launcher's.
pub(super) fn run(channel: &Arc<Channel>) -> Result<(), SessionError> {
    let Some(assignment) = Assignment::receive(channel)? else {
        return Ok(());
    };
    let spawned = MonotonicNs::now();
    // Before there are other threads.
    let breaks = Arc::new(LeaseBreaks::watch().map_err(SessionError::Breaks)?);
    let watch = LauncherWatch::new(channel.clone(), assignment.launcher, breaks.clone());
    let Some(watch) = watch.map_err(SessionError::Watch)? else {
        return Ok(());
    };
    let session = Session {
        channel: channel.clone(),
        spawned,
        watch,
        breaks,
        ring0: assignment.ring0,
        host: assignment.host,
        facts: assignment.facts,
    };
    match assignment.job {
        Job::Run(run) => instance::run(session, run),
        Job::MakeTemplate { from, disks, into } => template::make(session, *from, disks, into),
    }
}
