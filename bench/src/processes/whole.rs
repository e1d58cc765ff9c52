use std::ffi::OsString;
use std::process::Command;

use launch::{DiskFiles, Instance, Prepared, Stdio};

use super::spawned::{Role, Spawned, Start};
use super::told::Told;

/// Makes ready a `jaula run` with these arguments, timed as a whole process.
pub fn prepare(program: OsString, arguments: Vec<OsString>) -> Box<dyn Prepared> {
    Box::new(Whole { program, arguments })
}

struct Whole {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Prepared for Whole {
    // Not known from outside.
    fn disk_files(&self) -> DiskFiles {
        DiskFiles::default()
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let told = Told::new()?;
        let mut program = Command::new(&self.program);
        program.args(["run", "--timeline"]).arg(told.path());
        program.args(&self.arguments);
        let start = Start::now(program, stdio, Role::Runner(Some(told)), || Ok(()));
        Ok(Box::new(Spawned::start(start)?))
    }
}
