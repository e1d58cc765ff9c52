/// The dynamic loader that a program names, if it names one: the contents of the `PT_INTERP` segment
/// of a 64-bit ELF file, without the zero at its end.
///
/// Offsets and sizes are those of `Elf64_Ehdr` and `Elf64_Phdr`, `elf(5)`.
pub(super) fn interpreter(program: &[u8]) -> Option<&[u8]> {
    const PT_INTERP: usize = 3;
    let number = |offset: usize, length: usize| -> Option<usize> {
        let bytes = program.get(offset..offset.checked_add(length)?)?;
        let bytes = bytes.iter().rev();
        Some(bytes.fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count)
        .map_while(|index| start.checked_add(index * size))
        .take_while(|header| *header < program.len())
        .find(|header| number(*header, 4) == Some(PT_INTERP))?;
    let offset = number(header.checked_add(8)?, 8)?;
    let length = number(header.checked_add(32)?, 8)?;
    let name = program.get(offset..offset.checked_add(length)?)?;
    Some(name.strip_suffix(&[0]).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_with_a_loader_is_told_from_a_static_one_and_from_none() {
        // A Debian's, which is linked to its C library; this test's own program need not be.
        let dynamic = fs::read("/bin/ls").unwrap();
        let loader: Option<&[u8]> = Some(b"/lib64/ld-linux-x86-64.so.2");
        assert_eq!(interpreter(&dynamic), loader);
        assert_eq!(interpreter(&fs::read("/bin/busybox").unwrap()), None);
        assert_eq!(interpreter(b"\x7fELF"), None);
        assert_eq!(interpreter(&[0xff; 128]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            interpreter(&bytes);
        }
    }
}
