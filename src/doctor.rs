//! `jaula doctor`: what this machine can do, and what to do about the rest.

use std::fmt::Write;

use launch::{Finding, Launcher, Level, Side};
use vmm::{GuestKernel, StartMode};

use crate::error::Error;
use crate::installation::Installation;
use crate::output;
use crate::user_namespace;

/// Prints what each side found; the exit code says whether both can launch.
pub fn doctor() -> Result<u8, Error> {
    // Before there is a second thread, and for what the launchers find.
    let users = user_namespace::finding();
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let vm = installation.vm(GuestKernel::BuiltIn, StartMode::Auto);
    let sides = [
        (
            Side::Container,
            users
                .into_iter()
                .chain(installation.container().probe())
                .collect(),
        ),
        (Side::Vm, vm.probe()),
    ];
    output::print(&report(&sides))?;
    let missing = sides
        .iter()
        .flat_map(|(_, findings)| findings)
        .any(|finding| finding.level == Level::Missing);
    Ok(missing.into())
}

fn report(sides: &[(Side, Vec<Finding>)]) -> String {
    let mut text = String::new();
    for (side, findings) in sides {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{side}");
        let subject_width = findings
            .iter()
            .map(|finding| finding.subject.chars().count())
            .max()
            .unwrap_or(0);
        for finding in findings {
            let sign = match finding.level {
                Level::Good => '✓',
                Level::Note => '!',
                Level::Missing => '✗',
            };
            let Finding {
                subject, detail, ..
            } = finding;
            let _ = writeln!(text, "  {sign} {subject:subject_width$}  {detail}");
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "    {:subject_width$}  → {remedy}", "");
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_and_what_to_do_about_it_another() {
        let findings = vec![
            Finding::good("namespaces", "all"),
            Finding::note("cgroup", "version 1"),
            Finding::missing("kvm", "there is no /dev/kvm", "load kvm_intel or kvm_amd"),
        ];
        assert_eq!(
            report(&[(Side::Vm, findings)]),
            "vm
  ✓ namespaces  all
  ! cgroup      version 1
  ✗ kvm         there is no /dev/kvm
                → load kvm_intel or kvm_amd

"
        );
    }
}
