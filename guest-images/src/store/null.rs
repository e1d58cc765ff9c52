use serde::{Deserialize, Deserializer};

/// Reads `null` as what is empty: Go writes so what nobody has set. Beside `#[serde(default)]`,
/// which is for what is left out.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
