//! What the command may do.

use clap::Args;
use launch::{CapabilityName, CapabilitySet};

use crate::notation::{SeccompArg, SecurityOption};

/// What the command may do beyond the rights of its user.
#[derive(Debug, Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityArgs {
    /// Give root in the instance one more capability, as in NET_ADMIN, or ALL
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<CapabilityName>,

    /// Take a capability away, or ALL
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<CapabilityName>,

    /// seccomp=FILE or seccomp=unconfined: other system calls than usual;
    /// no-new-privileges=false: set-user-ID programs give rights
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<SecurityOption>,
}

impl SecurityArgs {
    /// The flag that was given, if one was.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            (!self.cap_add.is_empty(), "--cap-add"),
            (!self.cap_drop.is_empty(), "--cap-drop"),
            (!self.security_opt.is_empty(), "--security-opt"),
        ];
        flags.into_iter().find_map(|(is, flag)| is.then_some(flag))
    }

    /// docker's default set with what was added and dropped.
    pub fn capabilities(&self) -> CapabilitySet {
        CapabilitySet::default().changed(&self.cap_add, &self.cap_drop)
    }

    /// The last that was asked for.
    pub fn seccomp(&self) -> &SeccompArg {
        let asked = self
            .security_opt
            .iter()
            .rev()
            .find_map(|option| match option {
                SecurityOption::Seccomp(arg) => Some(arg),
                SecurityOption::NoNewPrivileges(_) => None,
            });
        asked.unwrap_or(&SeccompArg::Default)
    }

    /// The last that was asked for.
    pub fn no_new_privileges(&self) -> Option<bool> {
        let no_new_privileges = |option: &SecurityOption| match option {
            SecurityOption::NoNewPrivileges(on) => Some(*on),
            SecurityOption::Seccomp(_) => None,
        };
        self.security_opt.iter().rev().find_map(no_new_privileges)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Cli};

    #[test]
    fn the_last_option_counts() {
        for (options, seccomp, no_new_privileges) in [
            (&[][..], SeccompArg::Default, None),
            (
                &["seccomp=f", "seccomp=unconfined"],
                SeccompArg::Unconfined,
                None,
            ),
            (
                &["no-new-privileges:false", "seccomp=f", "no-new-privileges"],
                SeccompArg::File("f".into()),
                Some(true),
            ),
        ] {
            let flags = options.iter().flat_map(|option| ["--security-opt", option]);
            let line = ["jaula", "run"].into_iter().chain(flags).chain(["busybox"]);
            let Action::Run(run) = Cli::try_parse_from(line).unwrap().action else {
                panic!("not a run");
            };
            let security = run.workload.security;
            assert_eq!(security.seccomp(), &seccomp, "{options:?}");
            assert_eq!(
                security.no_new_privileges(),
                no_new_privileges,
                "{options:?}"
            );
        }
    }
}
