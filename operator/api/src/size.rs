//! How large is an establishment?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Size class of an establishment, by its yearly financial mass in millions of euros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SizeClass {
    /// From 0.5 to under 15 M€ a year.
    VerySmall,
    /// From 15 to under 50 M€ a year.
    Small,
    /// From 50 to under 120 M€ a year.
    Medium,
    /// From 120 to 300 M€ a year.
    Large,
    /// Over 300 M€ a year.
    VeryLarge,
}

impl SizeClass {
    /// Every class, smallest first.
    pub const ALL: [Self; 5] = [Self::VerySmall, Self::Small, Self::Medium, Self::Large, Self::VeryLarge];

    /// The class of an establishment whose yearly mass is `million_euros`.
    pub fn from_yearly_mass(million_euros: f64) -> Self {
        if million_euros < 15.0 {
            Self::VerySmall
        } else if million_euros < 50.0 {
            Self::Small
        } else if million_euros < 120.0 {
            Self::Medium
        } else if million_euros <= 300.0 {
            Self::Large
        } else {
            Self::VeryLarge
        }
    }
}

/// [`SizeClass::from_yearly_mass`] in CEL over an Establishment's spec; both are held together by a test.
pub(crate) const CEL_CLASS_OF_MASS: &str = "(self.yearlyMassMillionEuros < 15.0 ? 'VerySmall' : \
     self.yearlyMassMillionEuros < 50.0 ? 'Small' : self.yearlyMassMillionEuros < 120.0 ? 'Medium' : \
     self.yearlyMassMillionEuros <= 300.0 ? 'Large' : 'VeryLarge')";

impl fmt::Display for SizeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_the_bounds_of_the_programme() {
        use SizeClass::{Large, Medium, Small, VeryLarge, VerySmall};
        let classes = [0.5, 14.9, 15.0, 49.9, 50.0, 119.9, 120.0, 300.0, 300.1].map(SizeClass::from_yearly_mass);
        assert_eq!(classes, [VerySmall, VerySmall, Small, Small, Medium, Medium, Large, Large, VeryLarge]);
    }
}
