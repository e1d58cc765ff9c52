//! What jaula says in JSON, held against what is published of it.

/// What the published schema says of what `jaula compare --json` has printed.
pub fn assert_fits_the_schema(printed: &[u8]) {
    assert_fits(printed, "comparison.schema.json");
}

/// The same of the `summary.json` of a suite.
pub fn assert_is_a_summary(written: &[u8]) {
    assert_fits(written, "summary.schema.json");
}

/// The same of a run, which a suite's `samples.jsonl` has with the workload's name.
pub fn assert_is_a_sample(written: &[u8]) {
    assert_fits(written, "comparison.schema.json#/$defs/sample");
}

fn assert_fits(json: &[u8], schema: &str) {
    let mut compiler = boon::Compiler::new();
    for (name, text) in [
        (
            "comparison.schema.json",
            include_str!("../../docs/comparison.schema.json"),
        ),
        (
            "summary.schema.json",
            include_str!("../../docs/summary.schema.json"),
        ),
    ] {
        let schema = serde_json::from_str(text).unwrap();
        compiler.add_resource(name, schema).unwrap();
    }
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile(schema, &mut schemas).unwrap();
    let json = serde_json::from_slice(json).unwrap();
    if let Err(error) = schemas.validate(&json, index) {
        panic!("{error:#}");
    }
}
