//! The symbol table that Linux's build leaves beside the kernel: `System.map`.

/// A line of the table is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the symbol table is no address, type and name")]
pub struct SymbolError {
    line: usize,
}

/// Functions by address.
#[derive(Debug)]
pub struct Symbols {
    /// In rising order of address.
    functions: Vec<(u64, String)>,
}

impl Symbols {
    /// What is shown for an address below all functions: before the kernel has its own page
    /// tables, and in PID 1.
    pub const LOW: &str = "[early boot or user mode]";

    /// Reads a table: an address in hexadecimal, a letter for the section, a name.
    ///
    /// # Errors
    ///
    /// When a line is something else.
    pub fn parse(table: &str) -> Result<Self, SymbolError> {
        let mut functions = Vec::new();
        for (index, line) in table.lines().enumerate() {
            let error = SymbolError { line: index + 1 };
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(section), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                return Err(error);
            };
            let address = u64::from_str_radix(address, 16).map_err(|_| error)?;
            // nm(1): text, global or local, weak symbols too.
            if matches!(section, "T" | "t" | "W" | "w") {
                functions.push((address, name.to_owned()));
            }
        }
        functions.sort();
        Ok(Self { functions })
    }

    /// The function that holds `address`.
    pub fn name(&self, address: u64) -> &str {
        let behind = self
            .functions
            .partition_point(|(start, _)| *start <= address);
        behind
            .checked_sub(1)
            .and_then(|index| self.functions.get(index))
            .map_or(Self::LOW, |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
ffffffff81000000 T _text
ffffffff81000040 t early
ffffffff81000030 D data
";

    #[test]
    fn an_address_belongs_to_the_last_function_that_starts_before_it() {
        let symbols = Symbols::parse(TABLE).unwrap();
        for (address, name) in [
            (0, Symbols::LOW),
            (0x7fff_ffff_ffff, Symbols::LOW),
            (0xffff_ffff_8100_0000, "_text"),
            (0xffff_ffff_8100_003f, "_text"),
            (0xffff_ffff_8100_0040, "early"),
            (u64::MAX, "early"),
        ] {
            assert_eq!(symbols.name(address), name, "{address:#x}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(
            Symbols::parse("ffffffff81000000 T _text\nhello\n").unwrap_err(),
            SymbolError { line: 2 }
        );
        assert!(Symbols::parse("").is_ok());
    }
}
