//! Archives for initial RAM file systems: cpio's "newc".

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;
const LINK: u32 = 0o120_777;

/// An archive in the making.
#[derive(Default)]
pub struct Archive(Vec<u8>);

impl Archive {
    pub fn directory(self, name: &str) -> Self {
        self.entry(name, DIRECTORY, (0, 0), b"")
    }

    pub fn program(self, name: &str, contents: &[u8]) -> Self {
        self.entry(name, PROGRAM, (0, 0), contents)
    }

    pub fn file(self, name: &str, contents: &str) -> Self {
        self.entry(name, FILE, (0, 0), contents.as_bytes())
    }

    pub fn device(self, name: &str, number: (u32, u32)) -> Self {
        self.entry(name, CHARACTER_DEVICE, number, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(name, LINK, (0, 0), target.as_bytes())
    }

    pub fn finish(self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), b"").0
    }

    fn entry(mut self, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) -> Self {
        let (contents_bytes, name_bytes) = (contents.len() as u32, name.len() as u32 + 1);
        let (major, minor) = device;
        self.0.extend(b"070701");
        // Inode, mode, owners, links, time, size, device, device that it is, name, check.
        for field in [
            1,
            mode,
            0,
            0,
            1,
            0,
            contents_bytes,
            0,
            0,
            major,
            minor,
            name_bytes,
            0,
        ] {
            self.0.extend(format!("{field:08x}").bytes());
        }
        self.0.extend(name.bytes().chain([0]));
        self.pad();
        self.0.extend(contents);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}
