//! Which laws are there?

use std::fmt;

/// Declares the laws, each with its words, and the list of all of them.
macro_rules! laws {
    ($($(#[$meaning:meta])* $name:ident = $words:literal,)*) => {
        /// What must hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Law {
            $($(#[$meaning])* $name,)*
        }

        impl Law {
            /// All laws.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        impl fmt::Display for Law {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $words,)*
                })
            }
        }
    };
}

laws! {
    /// No pods run on data that does not suit them: data half-way suits none.
    Suits = "no pod runs on data that does not suit it",
    /// The pods that write are gone before data is saved or moved for good.
    Quiet = "nobody writes any more when a backup or a migration for good begins",
    /// A migration begins once in each attempt.
    Once = "no migration of one attempt begins twice",
    /// A migration does not begin on what another left half-way.
    Half = "nothing is begun on data that is half-way before a person says so",
    /// What a phase owns stays as long as the phase.
    Owned = "nothing is removed that a phase owns",
    /// What is somebody else's stays as it is.
    Foreign = "nothing is changed that is not ours",
    /// Data stays until a person asks for its removal.
    Kept = "no data goes, or is begun anew, unless a person asked for it",
    /// What was generated is made once.
    Secret = "what was generated stays",
    /// A record goes forward.
    Forward = "no record of a way goes back, or is left before it ended",
    /// A status is decided on what was seen.
    Named = "a status is written over what it was decided on, and over nothing else",
    /// One process acts.
    Lease = "nobody writes but who holds the Lease",
    /// A record is there before what it asks for.
    Recorded = "nothing of a way is made before its record says so",
    /// A gate is true before it is passed.
    Gates = "no target is verified before each gate of its wave was true for as long as it must be",

    /// No more at once than a campaign says, over all campaigns and what people do by hand.
    Limits = "no more is changed at once than a wave, a platform and a database server may",
    /// Windows, freezes and deferrals.
    Windows = "nothing begins outside of its windows, in a freeze, or before its deferral is over",
    /// An Instance is one campaign's.
    Holder = "no campaign takes what another that goes on holds",
    /// Waves come one after the other.
    Order = "a wave begins once, after those before it, and is recorded before its first target begins",
    /// Who is late begins by a person's word.
    Late = "what cannot be done by its day does not begin before a person accepts that",
    /// A target begins once.
    Begun = "no target begins twice in one attempt",
    /// What is held begins nothing.
    Held = "a campaign that is not let go begins nothing",
    /// Nobody's field is taken.
    Pinned = "what a person set, no campaign takes",
    /// The emergency exit.
    Back = "going back is held by nothing but limits and a person",

    /// A phase ends by its deadline.
    Exit = "at rest, no way is under way that nobody is asked to help",
    /// What is wrong is said.
    Said = "at rest, what is not as asked says why",
    /// What is said is true.
    True = "at rest, what is said to be ready is",
    /// Nothing is left behind.
    Left = "at rest, nothing is left that no release asks for",
    /// Nothing is written.
    Silent = "at rest, nothing is written",
    /// A deletion ends.
    Gone = "at rest, what was deleted is gone",
    /// A campaign ends, or says what it waits for.
    Wedge = "at rest, every campaign has ended, or waits for what it says",
}
