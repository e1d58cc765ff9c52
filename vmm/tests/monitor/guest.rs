//! Kernels of a few 32-bit instructions, entered by PVH.

use guest_protocol::{DOORBELL_GPA, Mark};

/// Where they are loaded and entered.
const ADDRESS: u32 = 0x100_0000;

/// Instructions of a guest, and the ELF image around them.
#[derive(Clone, Default)]
pub struct Guest {
    code: Vec<u8>,
    memory_bytes: u64,
}

impl Guest {
    /// Stores `mark` in the doorbell.
    pub fn rings(mut self, mark: Mark) -> Self {
        // mov dword [DOORBELL_GPA], mark
        self.code.extend([0xc7, 0x05]);
        self.code.extend((DOORBELL_GPA as u32).to_le_bytes());
        self.code.extend((mark as u32).to_le_bytes());
        self
    }

    /// Prints a line on the serial port.
    pub fn says(mut self, line: &str) -> Self {
        // mov edx, 0x3f8; then for each byte: mov al, byte; out dx, al
        self.code.extend([0xba, 0xf8, 0x03, 0, 0]);
        for byte in line.bytes().chain([b'\n']) {
            self.code.extend([0xb0, byte, 0xee]);
        }
        self
    }

    /// Pulls the reset line.
    pub fn resets(mut self) -> Self {
        // mov al, 0xfe; out 0x64, al
        self.code.extend([0xb0, 0xfe, 0xe6, 0x64]);
        self
    }

    /// Switches itself off, as ACPI has it.
    pub fn powers_off(mut self) -> Self {
        // mov edx, 0x600; mov al, SLP_EN | 5 << 2; out dx, al
        self.code.extend([0xba, 0, 0x06, 0, 0, 0xb0, 0x34, 0xee]);
        self
    }

    /// Waits until the power button is pressed: until the local APIC has taken in vector 0x40, to
    /// which pin 16 of the IO-APIC leads.
    pub fn awaits_the_power_button(mut self) -> Self {
        const LOCAL_APIC: u32 = 0xfee0_0000;
        const SPURIOUS: u32 = LOCAL_APIC + 0xf0;
        const REQUESTED_64_TO_95: u32 = LOCAL_APIC + 0x220;
        const IO_APIC_INDEX: u32 = 0xfec0_0000;
        const IO_APIC_DATA: u32 = 0xfec0_0010;
        const PIN_16: u32 = 0x10 + 2 * 16;
        for (address, value) in [
            // Switched on.
            (SPURIOUS, 0x1ff),
            // To the first processor; the vector, edge-triggered, not masked.
            (IO_APIC_INDEX, PIN_16 + 1),
            (IO_APIC_DATA, 0),
            (IO_APIC_INDEX, PIN_16),
            (IO_APIC_DATA, 0x40),
        ] {
            // mov dword [address], value
            self.code.extend([0xc7, 0x05]);
            self.code.extend(address.to_le_bytes());
            self.code.extend(u32::to_le_bytes(value));
        }
        // test dword [address], 1; jz back
        self.code.extend([0xf7, 0x05]);
        self.code.extend(REQUESTED_64_TO_95.to_le_bytes());
        self.code.extend([1, 0, 0, 0, 0x74, 0xf4]);
        self
    }

    /// Has a fault, and no handler for any.
    pub fn crashes(mut self) -> Self {
        // ud2
        self.code.extend([0x0f, 0x0b]);
        self
    }

    /// Runs until it is killed.
    pub fn loops(mut self) -> Self {
        // jmp $
        self.code.extend([0xeb, 0xfe]);
        self
    }

    /// Claims that much memory.
    pub fn takes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The image.
    pub fn image(&self) -> Vec<u8> {
        const CODE_OFFSET: usize = 0x1000;
        let mut note = Vec::new();
        for field in [4u32, 4, 18] {
            note.extend(field.to_le_bytes());
        }
        note.extend(b"Xen\0");
        note.extend(ADDRESS.to_le_bytes());

        let program_header = |kind: u32, offset: usize, file: usize, memory: u64| {
            let mut header = kind.to_le_bytes().to_vec();
            header.extend(7u32.to_le_bytes());
            for field in [
                offset as u64,
                ADDRESS.into(),
                ADDRESS.into(),
                file as u64,
                memory,
                0x1000,
            ] {
                header.extend(field.to_le_bytes());
            }
            header
        };
        let code_bytes = self.code.len();
        let mut image = b"\x7fELF\x02\x01\x01".to_vec();
        image.resize(16, 0);
        image.extend(2u16.to_le_bytes());
        image.extend(62u16.to_le_bytes());
        image.extend(1u32.to_le_bytes());
        image.extend(u64::from(ADDRESS).to_le_bytes());
        image.extend(64u64.to_le_bytes());
        image.extend([0; 12]);
        for field in [64u16, 56, 2, 0, 0, 0] {
            image.extend(field.to_le_bytes());
        }
        image.extend(program_header(4, 0x200, note.len(), note.len() as u64));
        image.extend(program_header(
            1,
            CODE_OFFSET,
            code_bytes,
            self.memory_bytes.max(code_bytes as u64),
        ));
        image.resize(0x200, 0);
        image.extend(note);
        image.resize(CODE_OFFSET, 0);
        image.extend(&self.code);
        image
    }
}
