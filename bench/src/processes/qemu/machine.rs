use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use guest_protocol::TCP_INTERFACE;
use vmm::LentGuest;
use vmm::ring0::Ring0;

/// What does not depend on the guest: KVM or nothing, the devices that our monitor has too, and no others.
/// ACPI is off as our kernel knows of none; it finds QEMU's MP table. The keyboard controller is there for
/// its port 0x64, by which the kernel resets the machine.
const ALWAYS: &[&str] = &[
    "-machine",
    "microvm,acpi=off",
    "-accel",
    "kvm",
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-chardev",
    "stdio,id=serial,signal=off",
    "-serial",
    "chardev:serial",
    "-global",
    "virtio-mmio.force-legacy=false",
    "-device",
    "virtio-blk-device,drive=image",
    "-device",
    "virtio-net-device,netdev=line",
    "-device",
    "virtio-rng-device",
    "-device",
    "virtio-balloon-device,free-page-reporting=on",
    "-device",
    "i8042",
];

/// The processor: the host's own.
const CPU: &str = "host";
/// The same where ring 0 is emulated: such a host refuses to set what QEMU wants to be in this register
/// (`MSR_IA32_ARCH_CAPABILITIES`, 0x10a), which QEMU dies of.
const CPU_EMULATED: &str = "host,-arch-capabilities";

/// QEMU's arguments for this guest.
pub(super) fn words(guest: &LentGuest) -> Vec<OsString> {
    let mut words: Vec<OsString> = ALWAYS.iter().map(OsString::from).collect();
    let cpu = match guest.ring0 {
        Ring0::Hardware { .. } => CPU,
        Ring0::Emulated { .. } => CPU_EMULATED,
    };
    let ours = TCP_INTERFACE.gateway;
    let its = TCP_INTERFACE.address;
    let mut image =
        OsString::from("driver=raw,node-name=image,read-only=on,file.driver=file,file.filename=");
    image.push(escaped(&guest.disk));
    let given: [(&str, OsString); 8] = [
        ("-cpu", cpu.into()),
        ("-smp", guest.vcpus.to_string().into()),
        ("-m", format!("{}k", guest.memory_bytes >> 10).into()),
        ("-kernel", guest.kernel.clone().into()),
        ("-initrd", guest.initrd.clone().into()),
        ("-append", guest.command_line.clone().into()),
        ("-blockdev", image),
        (
            "-netdev",
            format!("user,id=line,ipv6=off,host={ours},dhcpstart={its}").into(),
        ),
    ];
    for (flag, value) in given {
        words.extend([flag.into(), value]);
    }
    words
}

/// A comma of a path would begin another option.
fn escaped(path: &Path) -> OsString {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_is_a_part_of_it() {
        assert_eq!(escaped(Path::new("/a,b/c")), "/a,,b/c");
    }
}
