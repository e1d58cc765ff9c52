//! PID 1 of a guest, and with another name the init that `--init` asks for: see [`reaper`].
//!
//! The former prepares all that it can, learns what to run, runs that one command, and is
//! its line to the host.
//!
//! It is static, has one thread, and makes few system calls: where the guest's kernel is
//! emulated, each costs milliseconds. What it does, in order, is [`run`].
//!
//! An orphan of the command's never becomes a child of this process: the command is PID 1 of a
//! PID namespace of its own and inherits them all. So there is exactly one child to be waited
//! for, and when it has ended nothing else runs.

// Without Rust's own `main`: what it does before ours (it opens /dev/null, which is not there
// yet, and ends the process if it can't; it looks for its stack's guard page in /proc) is of no
// use here.
#![cfg_attr(not(test), no_main)]
// A test calls the parts; the whole takes a guest.
#![cfg_attr(test, allow(dead_code))]

mod cgroup;
mod child;
mod command;
mod connections;
mod disk;
mod doorbell;
mod ends;
mod fatal;
mod forward;
mod free_memory;
mod given_disks;
mod identity;
mod interest;
mod load;
mod memory;
mod network;
mod out_of_memory;
mod place;
mod reaper;
mod root;
mod running;
mod session;
mod stream;
mod terminal;
mod users;
mod vacancies;

#[cfg(not(test))]
use std::ffi::{CStr, CString};
use std::fs::File;

use cgroup::Cgroup;
use command::{Prepared, Started};
use connections::{Connections, Sockets, Way};
use disk::Disk;
use doorbell::Doorbell;
use fatal::Fatal;
use guest_protocol::{End, Mark, Start, ToGuest, ToHost, read_message, write_message};
use identity::Identity;
use launch::ExitStatus;
use place::Place;
use running::Running;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// What the kernel starts, or [`entry`] under another name.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(argc: libc::c_int, argv: *const *const libc::c_char) -> libc::c_int {
    // SAFETY: these are what the C library calls `main` with.
    let words = unsafe { words(argc, argv) };
    if let Some((name, words)) = words.split_first()
        && name.as_c_str() == entry::INIT_NAME
    {
        return reaper::run(words);
    }
    std::panic::set_hook(Box::new(|panic| fatal::report(panic)));
    match run(Way::of_words(&words)) {
        Ok(never) => match never {},
        Err(error) => fatal::report(&error),
    }
    // The end of PID 1 is a panic of the kernel, which the monitor sees.
    1
}

/// The arguments of a program.
///
/// # Safety
///
/// `argv` is an array of at least `argc` pointers to C strings.
#[cfg(not(test))]
unsafe fn words(argc: libc::c_int, argv: *const *const libc::c_char) -> Vec<CString> {
    (0..argc as usize)
        // SAFETY: the caller says so.
        .map(|index| unsafe { CStr::from_ptr(*argv.add(index)) }.to_owned())
        .collect()
}

/// All that a guest ever does.
fn run(way: Way) -> Result<std::convert::Infallible, Fatal> {
    // A process that joins the command is among its processes before it has another memory than
    // this one, which none of those may look into.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Fatal::when("closing the memory of PID 1"))?;
    root::leave_initial_root()?;
    free_memory::give_back_early()?;
    let doorbell = Doorbell::map()?;
    doorbell.ring(Mark::Init);
    let identity = Identity::open()?;
    let disk = Disk::open()?;
    let (ours, theirs) = ends::make()?;
    let (cgroup, entrance) = Cgroup::make()?;
    root::make_directories()?;
    let prepared = Prepared::make(entrance, doorbell)?;
    let sockets = Sockets::open(way)?;
    doorbell.ring(Mark::Ready);

    // A machine that was saved at that mark goes on here, as a copy of which there are others.
    let Connections {
        mut control,
        streams,
    } = sockets.connect()?;
    let start = receive_start(&mut control)?;
    identity.assume(&start.incarnation)?;
    doorbell.ring(Mark::Started);

    disk.wait_for(start.disk_sectors)?;
    let task = start.task;
    if let Some(limit) = task.pids {
        cgroup.limit_pids(limit)?;
    }
    theirs.give_to(task.command.credentials())?;
    let devices = given_disks::find(&task.disks)?;
    let answer = match prepared.start(&task, &devices, theirs)? {
        Started::Running(command) => {
            doorbell.ring(Mark::Executed);
            let place = Place::of(&task, &cgroup, &command)?;
            let load = ours.joined_to(streams, task.terminal)?;
            let running = Running::new(command, load);
            let status = forward::until_end(&mut control, running, &place, |incarnation| {
                identity.assume(incarnation)
            })?;
            // The root goes with the machine: unmounted, its cache would be freed page by page before
            // the host is told how the command ended.
            std::mem::forget(place);
            ToHost::Ended(End {
                status,
                // That it ended well is all there is to be said.
                out_of_memory: status != ExitStatus::Exited(0) && out_of_memory::has_killed()?,
            })
        }
        Started::Failed(failure) => {
            streams
                .end_outputs()
                .map_err(Fatal::when("ending an output"))?;
            match failure.exit_status() {
                Some(status) => ToHost::Ended(End {
                    status,
                    out_of_memory: false,
                }),
                None => ToHost::Failed(failure),
            }
        }
    };
    write_message(&mut control, &answer)?;
    // The host drops the machine; until then the connections stay open.
    loop {
        rustix::event::pause();
    }
}

fn receive_start(control: &mut File) -> Result<Box<Start>, Fatal> {
    match read_message(control)? {
        Some(ToGuest::Start(start)) => Ok(start),
        Some(_) | None => Err(Fatal::NothingToStart),
    }
}
