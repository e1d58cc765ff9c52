use guest_images::{Cache, Processors};
use launch::{Chain, Finding};

use super::blueprint::Blueprint;
use super::{GuestBoot, GuestKernel, template};
use crate::jail;
use crate::kvm;
use crate::ring0::{self, Ring0};

/// What machines need of the host.
pub(super) fn findings(cache: &Cache, boot: &GuestBoot) -> Vec<Finding> {
    let kvm = kvm::open();
    let mut findings = match &kvm {
        Err(error) => vec![Finding::missing(
            "kvm",
            Chain(error).to_string(),
            error.remedy(),
        )],
        Ok(kvm) => vec![Finding::good(
            "kvm",
            format!("version {}, with all that is needed", kvm.get_api_version()),
        )],
    };
    let ring0 = kvm.ok().map(|kvm| ring0::of_host(&kvm));
    findings.extend(ring0.as_ref().map(|ring0| match ring0 {
        Ok(ring0) => ring0_finding(*ring0),
        Err(error) => Finding::missing(
            "guest ring 0",
            Chain(error).to_string(),
            "look at what dmesg says of kvm",
        ),
    }));
    findings.push(jail::finding());
    findings.push(kernel_finding(cache, &boot.kernel));
    if let Some(Ok(ring0)) = ring0 {
        findings.extend(template_finding(cache, boot, ring0));
    }
    findings.extend(host::facts::cgroups());
    findings
}

fn ring0_finding(ring0: Ring0) -> Finding {
    let subject = "guest ring 0";
    match ring0 {
        Ring0::Hardware {
            instructions_per_second,
        } => Finding::good(
            subject,
            format!(
                "runs on the processor, {} million instructions a second",
                instructions_per_second / 1_000_000
            ),
        ),
        Ring0::Emulated {
            instructions_per_second,
        } => Finding::note(
            subject,
            format!(
                "is emulated, at {:.1} million instructions a second: a guest kernel takes seconds \
                 to boot, and milliseconds for what takes microseconds elsewhere",
                instructions_per_second as f64 / 1e6
            ),
        )
        .with_remedy("use a host with VT-x or AMD-V to measure how fast a machine starts"),
    }
}

fn kernel_finding(cache: &Cache, kernel: &GuestKernel) -> Finding {
    let subject = "guest kernel";
    match kernel {
        GuestKernel::File(path) => match super::blueprint::check_kernel(path) {
            Ok(()) => Finding::good(subject, path.display().to_string()),
            Err(error) => Finding::missing(
                subject,
                Chain(&error).to_string(),
                "give an x86-64 vmlinux or bzImage",
            ),
        },
        GuestKernel::BuiltIn => match guest_images::Kernel::find(cache, Processors::One) {
            Ok(Some(kernel)) => Finding::good(subject, kernel.vmlinux().display().to_string()),
            Ok(None) => Finding::note(
                subject,
                "not built yet; the first machine that is launched builds it, in minutes",
            )
            .with_remedy("jaula kernel build"),
            Err(error) => {
                Finding::missing(subject, Chain(&error).to_string(), "jaula kernel build")
            }
        },
    }
}

/// `None` without a kernel, which is a finding of its own.
fn template_finding(cache: &Cache, boot: &GuestBoot, ring0: Ring0) -> Option<Finding> {
    let subject = "template";
    let asked = super::DEFAULT_SIZE;
    let memory = asked.memory;
    let blueprint = Blueprint::find(boot, asked, ring0, cache).ok()??;
    Some(match template::find(&blueprint, cache) {
        Ok(Some(dir)) => Finding::good(subject, dir.display().to_string()),
        Ok(None) => Finding::note(
            subject,
            format!("none for machines of {memory}, so they boot unless asked to start warm"),
        )
        .with_remedy("jaula template build"),
        Err(error) => {
            Finding::note(subject, Chain(&error).to_string()).with_remedy("jaula template build")
        }
    })
}
