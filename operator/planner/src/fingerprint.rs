//! Are two values the same, told by a short text?

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// 64 bits of SHA-256 over the value's JSON, as 16 hexadecimal digits. JSON objects are hashed with their keys sorted.
///
/// ```
/// use gotocloud_planner::fingerprint::of;
/// use serde_json::json;
/// assert_eq!(of(&json!({"a": 1, "b": 2})), of(&json!({"b": 2, "a": 1})));
/// assert_ne!(of(&json!({"a": 1})), of(&json!({"a": 2})));
/// ```
pub fn of(value: &impl Serialize) -> String {
    // It fails only for maps whose keys are not texts, of which the API types have none; such a value would hash as null.
    let mut canonical = serde_json::to_value(value).unwrap_or_default();
    // Sorted already, unless some crate of the build turns serde_json's `preserve_order` on.
    canonical.sort_all_objects();
    of_bytes(canonical.to_string().as_bytes())
}

/// 64 bits of SHA-256 over bytes, as 16 hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
