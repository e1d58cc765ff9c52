/// The guest's PID 1: a static x86-64 program, to be put into an initial RAM file system as
/// `/init`. It needs a kernel with the options of the recipe in `kernel/`.
pub static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_is_small() {
        // The guest's kernel copies every byte: where it is emulated, a KiB is 0.13 ms of a boot of
        // some seconds.
        const MAX_BYTES: usize = 1088 << 10;
        assert!(INIT.starts_with(b"\x7fELF"));
        assert!(INIT.len() < MAX_BYTES, "{} bytes", INIT.len());
    }
}
