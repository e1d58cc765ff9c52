use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::*;

const VIRTIO: [VirtioPlace; 2] = [
    VirtioPlace {
        base: layout::VIRTIO,
        gsi: 9,
    },
    VirtioPlace {
        base: layout::VIRTIO + layout::VIRTIO_BYTES,
        gsi: 10,
    },
];

fn of(vcpus: usize) -> Tables {
    tables(&Hardware {
        vcpus: VcpuCount::new(vcpus).unwrap(),
        virtio: &VIRTIO,
    })
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The table at an address.
fn at(tables: &Tables, address: u64) -> &[u8] {
    let found = tables.iter().find(|(place, _)| *place == address);
    &found.unwrap().1
}

#[test]
fn the_rsdp_leads_to_every_table_and_all_sums_are_right() {
    for vcpus in [1, 2, 254] {
        let tables = of(vcpus);
        let (address, rsdp) = &tables[0];
        assert_eq!(*address, layout::ACPI_TABLES);
        assert_eq!(&rsdp[..8], b"RSD PTR ");
        assert_eq!((sum(&rsdp[..20]), sum(rsdp)), (0, 0));

        let xsdt = at(&tables, u64_at(rsdp, 24));
        let fadt = at(&tables, u64_at(xsdt, 36));
        let madt = at(&tables, u64_at(xsdt, 44));
        let dsdt = at(&tables, u64_at(fadt, 140));
        for (signature, table) in [
            (b"XSDT", xsdt),
            (b"FACP", fadt),
            (b"APIC", madt),
            (b"DSDT", dsdt),
        ] {
            assert_eq!(&table[..4], signature);
            assert_eq!(u32_at(table, 4) as usize, table.len());
            assert_eq!(sum(table), 0);
        }
    }
}

#[test]
fn the_tables_lie_apart_and_end_before_high_memory() {
    let mut places: Vec<_> = of(254)
        .iter()
        .map(|(address, table)| (*address, address + table.len() as u64))
        .collect();
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    assert!(places.last().unwrap().1 <= layout::HIGH_MEMORY);
}

/// `iasl`, Intel's compiler, run on the file `name` in `dir`; `None` where it has to be skipped.
fn iasl(dir: &TempDir, arguments: &[&str]) -> Option<Output> {
    match Command::new("iasl")
        .current_dir(dir.path())
        .args(arguments)
        .output()
    {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: iasl (of acpica-tools) can't be run: {error}");
            None
        }
    }
}

#[test]
fn intels_compiler_reads_every_table_and_finds_the_devices() {
    for vcpus in [1, 3] {
        let dir = TempDir::new().unwrap();
        for (_, table) in &of(vcpus)[1..] {
            let name = str::from_utf8(&table[..4]).unwrap().to_lowercase();
            fs::write(dir.path().join(format!("{name}.dat")), table).unwrap();
            let Some(output) = iasl(&dir, &["-d", &format!("{name}.dat")]) else {
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}: {said}");
            for complaint in ["Error", "Warning", "Could not", "Incorrect"] {
                assert!(!said.contains(complaint), "{name}: {said}");
            }
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            read("apic.dsl").matches("Processor Local APIC").count(),
            vcpus
        );
        let tree = read("dsdt.dsl");
        assert_eq!(tree.matches("LNRO0005").count(), VIRTIO.len());
        for word in ["PNP0C0C", "ACPI0013", "_EVT", "Notify (PWRB, 0x80)", "_S5"] {
            assert!(tree.contains(word), "{word}: {tree}");
        }
        let fixed = read("facp.dsl");
        for (register, port) in [
            ("Sleep Control Register", power::PORT),
            ("Sleep Status Register", power::PORT + power::STATUS),
            ("Reset Register", reset::PORT + reset::COMMAND),
        ] {
            let (_, at) = fixed.split_once(register).unwrap();
            let address = at.lines().find(|line| line.contains("Address :")).unwrap();
            assert!(
                address.ends_with(&format!("{port:016X}")),
                "{register}: {address}"
            );
        }

        // What it read is a program that it would take itself.
        let Some(output) = iasl(&dir, &["-we", "dsdt.dsl"]) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("0 Errors, 0 Warnings"), "{said}");
    }
}
