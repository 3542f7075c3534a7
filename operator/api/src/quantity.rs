//! How much is `500m` or `2Gi`?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A quantity as Kubernetes writes it, limited to the forms a person types: digits, an optional fraction, and one of
/// the suffixes m, k, Ki, M, Mi, G, Gi, T, Ti. Examples: 500m (half a processor), 2Gi (bytes).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("maxLength" = 24, "pattern" = r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"))]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in thousandths of a unit (of a processor, of a byte), or `None` where the text is not of the form
    /// above. Saturates at `u128::MAX`.
    ///
    /// ```
    /// # use gotocloud_api::Quantity;
    /// assert_eq!(Quantity("500m".into()).thousandths(), Some(500));
    /// assert_eq!(Quantity("1.5Ki".into()).thousandths(), Some(1_536_000));
    /// assert_eq!(Quantity("lots".into()).thousandths(), None);
    /// ```
    pub fn thousandths(&self) -> Option<u128> {
        let text = self.0.as_str();
        let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(number_ends);
        let factor: u128 = match suffix {
            "m" => 1,
            "" => 1_000,
            "k" => 1_000_000,
            "Ki" => 1_000 << 10,
            "M" => 1_000_000_000,
            "Mi" => 1_000 << 20,
            "G" => 1_000_000_000_000,
            "Gi" => 1_000 << 30,
            "T" => 1_000_000_000_000_000,
            "Ti" => 1_000 << 40,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
            return None;
        }
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let units = whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(fraction.parse().ok()?)?;
        Some(units.saturating_mul(factor) / scale)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_compare_across_suffixes() {
        let of = |text: &str| Quantity::from(text).thousandths();
        assert!(of("1Gi") > of("1G"));
        assert_eq!(of("1024Mi"), of("1Gi"));
        assert_eq!(of("0.5"), of("500m"));
        assert_eq!(of("1.2.3"), None);
        assert_eq!(of(""), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Quantity(text).thousandths();
        }
    }
}
