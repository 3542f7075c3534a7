//! Is this the national code of an establishment? The UAI (*unité administrative immatriculée*): seven digits and a letter
//! computed from them, so that a slip of the keyboard cannot name another establishment.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Letters of the check, in the order of the remainder they stand for, from 0: the alphabet without I, O and Q, which read
/// like digits.
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPRSTUVWXYZ";

/// What a UAI looks like, for the `pattern` of a schema. It cannot say which letter goes with which digits: [`CEL_RULE`] does.
pub const PATTERN: &str = "^[0-9]{7}[A-HJ-NPR-Z]$";

/// CEL, over a string `self`: its letter is the one its digits call for.
///
/// It is true of what does not even look like a UAI, because a schema's [`PATTERN`] says so better and an API server
/// evaluates both: `int()` of something else than digits would only add an error of its own. `int()` reads decimal digits
/// whatever the zeros in front.
pub const CEL_RULE: &str = "!self.matches('^[0-9]{7}[A-Z]$') || \
     self.substring(7) == 'ABCDEFGHJKLMNPRSTUVWXYZ'.charAt(int(self.substring(0, 7)) % 23)";

/// CEL, over a string `self` that breaks [`CEL_RULE`]: the sentence to show, with the letter expected.
///
/// It formats and does not concatenate: an API server cannot bound the length of what `charAt()` returns, estimates its
/// concatenation as too costly and refuses the whole definition.
pub const CEL_MESSAGE: &str = "'UAI %s does not end with the letter its digits call for: check the digits, or write %s%s'\
     .format([self, self.substring(0, 7), 'ABCDEFGHJKLMNPRSTUVWXYZ'.charAt(int(self.substring(0, 7)) % 23)])";

/// National code of an establishment, for example `0751717J`: seven digits and the letter they call for.
///
/// As JSON it is a string, and one that is not a UAI does not deserialize. A schema with [`PATTERN`] and [`CEL_RULE`] keeps
/// such a string out of what an API server stores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uai(String);

impl Uai {
    /// Reads a UAI as it is: no trimming, no change of case.
    ///
    /// # Errors
    /// [`UaiError`] when the text is not seven digits and a capital letter, or when the letter is not the one its digits
    /// call for.
    pub fn parse(text: &str) -> Result<Self, UaiError> {
        let shape = || UaiError::Shape { text: text.chars().take(16).flat_map(char::escape_debug).collect() };
        let (digits, letter) = text.split_at_checked(7).ok_or_else(shape)?;
        let letter = match letter.as_bytes() {
            [letter] if letter.is_ascii_uppercase() => char::from(*letter),
            _ => return Err(shape()),
        };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(shape());
        }
        let number = digits.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        let expected = Self::check_letter(number);
        if letter != expected {
            return Err(UaiError::Letter { digits: digits.to_owned(), letter, expected });
        }
        Ok(Self(text.to_owned()))
    }

    /// The letter that goes with seven digits read as a number: the one at position `number` mod 23, from 0.
    pub fn check_letter(number: u32) -> char {
        char::from(LETTERS[(number % 23) as usize])
    }

    /// The code, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a UAI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UaiError {
    /// It is not made of seven digits and a capital letter.
    #[error("UAI `{text}` is not seven digits and a capital letter; write it like `0751717J`")]
    Shape {
        /// The beginning of the text, control characters escaped.
        text: String,
    },
    /// Its letter is not the one its digits call for: a digit or the letter is mistyped.
    #[error(
        "UAI `{digits}{letter}` ends with {letter} and its digits call for {expected}: check the digits, \
         or write `{digits}{expected}`"
    )]
    Letter {
        /// The seven digits.
        digits: String,
        /// The letter found.
        letter: char,
        /// The letter expected.
        expected: char,
    },
}

impl fmt::Display for Uai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Uai {
    type Error = UaiError;

    fn try_from(text: String) -> Result<Self, UaiError> {
        Self::parse(&text)
    }
}

impl From<Uai> for String {
    fn from(uai: Uai) -> Self {
        uai.0
    }
}

/// A string with [`PATTERN`]. [`CEL_RULE`] belongs to the field, where a message can be added to it.
impl JsonSchema for Uai {
    fn schema_name() -> Cow<'static, str> {
        "Uai".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "National code of an establishment: seven digits and their check letter, for example 0751717J.",
            "type": "string",
            // The bounds say nothing the pattern does not; API servers estimate the cost of CEL rules from them.
            "minLength": 8,
            "maxLength": 8,
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uai_is_seven_digits_and_the_letter_they_call_for() {
        assert_eq!(Uai::parse("0751717J").unwrap().to_string(), "0751717J");
        assert_eq!(Uai::check_letter(751_717), 'J');
        assert_eq!(Uai::check_letter(0), 'A');
        assert_eq!(Uai::check_letter(22), 'Z');
        assert_eq!(Uai::check_letter(23), 'A');
    }

    #[test]
    fn another_letter_is_refused_and_the_expected_one_is_named() {
        assert_eq!(
            Uai::parse("0751717K").unwrap_err().to_string(),
            "UAI `0751717K` ends with K and its digits call for J: check the digits, or write `0751717J`"
        );
    }

    #[test]
    fn what_does_not_look_like_a_uai_is_refused() {
        for text in ["", "0751717", "751717J", "0751717j", "0751717JJ", " 0751717J", "075171٣J", "O751717J", "07517175"]
        {
            let error = Uai::parse(text).unwrap_err();
            assert_eq!(error, UaiError::Shape { text: text.to_owned() });
            assert!(error.to_string().ends_with("write it like `0751717J`"));
        }
    }

    #[test]
    fn json_that_is_not_a_uai_does_not_deserialize() {
        assert_eq!(serde_json::from_str::<Uai>("\"0751717J\"").unwrap().as_str(), "0751717J");
        assert_eq!(serde_json::to_string(&Uai::parse("0751717J").unwrap()).unwrap(), "\"0751717J\"");
        assert!(serde_json::from_str::<Uai>("\"0751717K\"").unwrap_err().to_string().contains("call for J"));
    }

    #[test]
    fn the_rules_for_the_api_server_hold_the_same_letters() {
        let letters = std::str::from_utf8(LETTERS).unwrap();
        assert!(CEL_RULE.contains(&format!("'{letters}'")));
        assert!(CEL_MESSAGE.contains(&format!("'{letters}'")));
        assert_eq!(schemars::schema_for!(Uai).get("pattern").unwrap(), PATTERN);
    }
}
