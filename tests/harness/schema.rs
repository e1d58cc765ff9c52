//! What `jaula compare --json` prints, held against what is published of it.

/// What the published schema says of what `jaula compare --json` has printed.
pub fn assert_fits_the_schema(printed: &[u8]) {
    let schema = serde_json::from_str(include_str!("../../docs/comparison.schema.json")).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("comparison.json", schema).unwrap();
    let index = compiler.compile("comparison.json", &mut schemas).unwrap();
    let printed = serde_json::from_slice(printed).unwrap();
    if let Err(error) = schemas.validate(&printed, index) {
        panic!("{error:#}");
    }
}
