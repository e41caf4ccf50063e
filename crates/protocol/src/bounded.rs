//! Sequences that a peer cannot make larger in memory than they are worth.
//!
//! An empty byte string is one byte on the wire and 24 in memory. The number of elements is therefore
//! bounded, too, and memory is taken as elements really arrive.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Arguments or variables in one message. The kernel's own limit is far below for sensible lengths.
pub const MAX_STRINGS: usize = 64 << 10;
/// Directory entries in one message, and ids in one list.
pub const MAX_ENTRIES: usize = 8 << 10;

/// For `#[serde(deserialize_with)]`: lists of byte strings.
pub fn strings<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded::<T, MAX_STRINGS>(PhantomData))
}

/// For `#[serde(deserialize_with)]`: lists of entries.
pub fn entries<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded::<T, MAX_ENTRIES>(PhantomData))
}

struct Bounded<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Bounded<T, LIMIT> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {LIMIT} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        if sequence.size_hint().is_some_and(|length| length > LIMIT) {
            return Err(A::Error::custom("too many elements"));
        }
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == LIMIT {
                return Err(A::Error::custom("too many elements"));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}
