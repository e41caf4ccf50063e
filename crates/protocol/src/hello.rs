//! Which generation two sides speak. Pure: the caller exchanges the messages.

use crate::{GENERATION, Hello, MAGIC, OLDEST_GENERATION};

/// The longest `Hello::software`.
const MAX_SOFTWARE: usize = 64;

/// Why two sides cannot talk.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    #[error("the other side does not speak this protocol")]
    Foreign,
    #[error("the other side's greeting is not valid")]
    Invalid,
    #[error(
        "no common generation: this side speaks {} to {}, {software} speaks {oldest} to {newest}",
        OLDEST_GENERATION,
        GENERATION
    )]
    NoCommonGeneration {
        oldest: u32,
        newest: u32,
        software: String,
    },
}

impl Hello {
    /// The greeting of this side.
    pub fn new(software: &str) -> Self {
        let end = software.floor_char_boundary(MAX_SOFTWARE);
        Self {
            magic: MAGIC,
            oldest: OLDEST_GENERATION,
            newest: GENERATION,
            software: software[..end].to_owned(),
        }
    }
}

/// The highest generation that both sides speak.
pub fn negotiate(theirs: &Hello) -> Result<u32, HelloError> {
    if theirs.magic != MAGIC {
        return Err(HelloError::Foreign);
    }
    if theirs.oldest > theirs.newest || theirs.oldest == 0 || theirs.software.len() > MAX_SOFTWARE {
        return Err(HelloError::Invalid);
    }
    let generation = GENERATION.min(theirs.newest);
    if generation < theirs.oldest || generation < OLDEST_GENERATION {
        return Err(HelloError::NoCommonGeneration {
            oldest: theirs.oldest,
            newest: theirs.newest,
            software: theirs.software.clone(),
        });
    }
    Ok(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(oldest: u32, newest: u32) -> Hello {
        Hello {
            oldest,
            newest,
            ..Hello::new("test 1")
        }
    }

    #[test]
    fn the_highest_common_generation_is_chosen() {
        assert_eq!(negotiate(&hello(1, 1)), Ok(1));
        assert_eq!(negotiate(&hello(1, 9)), Ok(1));
    }

    #[test]
    fn a_peer_that_is_too_new_or_foreign_is_refused() {
        assert!(matches!(
            negotiate(&hello(2, 9)),
            Err(HelloError::NoCommonGeneration { .. })
        ));
        assert_eq!(negotiate(&hello(3, 2)), Err(HelloError::Invalid));
        assert_eq!(
            negotiate(&Hello {
                magic: 7,
                ..hello(1, 1)
            }),
            Err(HelloError::Foreign)
        );
        assert_eq!(
            negotiate(&Hello {
                software: "x".repeat(65),
                ..hello(1, 1)
            }),
            Err(HelloError::Invalid)
        );
    }

    #[test]
    fn our_own_greeting_is_cut_to_its_limit() {
        assert_eq!(Hello::new(&"ä".repeat(40)).software.len(), 64);
    }
}
