//! How far is an instance in its life?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Stage of an instance. It moves forward only, unless `allowStageRegression` says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Stage {
    /// Handed over to the establishment (*mise à disposition*); nobody depends on it yet.
    #[default]
    Provisioned,
    /// In use for a part, or beside the predecessor with double entry (*production partielle ou double saisie*).
    PartialProduction,
    /// The establishment relies on it alone (*production totale*).
    FullProduction,
}

impl Stage {
    /// Every stage, first to last.
    pub const ALL: [Self; 3] = [Self::Provisioned, Self::PartialProduction, Self::FullProduction];

    /// Does somebody depend on an instance in this stage? Such an instance is protected against deletion by default.
    pub fn is_production(self) -> bool {
        match self {
            Self::Provisioned => false,
            Self::PartialProduction | Self::FullProduction => true,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
