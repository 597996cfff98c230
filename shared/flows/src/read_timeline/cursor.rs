//! Where a walk through a timeline goes on.

use odyssey_domain::ids::{EventHash, IdentityKey, Position};
use odyssey_domain::time::Stamp;
use std::fmt;
use std::str::FromStr;

/// The place of one event among all of a profile's: by time, then by id, then by the identity it
/// was folded under. Total, and the same in every walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The event's own position.
    pub at: Position,
    /// The identity it was folded under.
    pub owner: IdentityKey,
}

/// Between two events: what a walk has shown ends here. It names a place and not a count, so that
/// events that arrive meanwhile shift nothing. Printed, it says nothing about its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) Place);

/// A text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor as a page of this timeline gave it")]
pub struct CursorError;

/// The first byte: another layout gets another one.
const LAYOUT: u8 = 1;
const BYTES: usize = 1 + 8 + 8 + 16;

impl Cursor {
    /// Just past one event, in either direction.
    #[must_use]
    pub const fn at(place: Place) -> Cursor {
        Cursor(place)
    }

    /// The instant it stands at.
    #[must_use]
    pub const fn stamp(self) -> Stamp {
        self.0.at.at
    }

    /// Before or behind everything that happened at an instant, as the direction of a walk is.
    #[must_use]
    pub(super) const fn between(at: Stamp) -> Cursor {
        let id = EventHash([0; 8]);
        Cursor(Place { at: Position { at, id }, owner: IdentityKey::from_bytes([0; 16]) })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cursor(Place { at, owner }) = self;
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&at.at.ms().to_be_bytes());
        bytes.extend_from_slice(&at.id.0);
        bytes.extend_from_slice(owner.bytes());
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let bytes =
            data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| CursorError)?;
        let ([layout], rest) = bytes.split_first_chunk::<1>().ok_or(CursorError)?;
        let (ms, rest) = rest.split_first_chunk::<8>().ok_or(CursorError)?;
        let (id, owner) = rest.split_first_chunk::<8>().ok_or(CursorError)?;
        let owner: [u8; 16] = owner.try_into().map_err(|_| CursorError)?;
        let ms = i64::from_be_bytes(*ms);
        let at = Stamp::from_ms(ms);
        if *layout != LAYOUT || at.ms() != ms {
            return Err(CursorError);
        }
        let at = Position { at, id: EventHash(*id) };
        Ok(Cursor(Place { at, owner: IdentityKey::from_bytes(owner) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_as_it_parses(ms in 0_i64..=Stamp::MAX.ms(), id: [u8; 8], owner: [u8; 16]) {
            let at = Position { at: Stamp::from_ms(ms), id: EventHash(id) };
            let cursor = Cursor(Place { at, owner: IdentityKey::from_bytes(owner) });
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }

        #[test]
        fn anything_else_is_refused(text in ".{0,60}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn of_another_layout() {
        let cursor = Cursor::between(Stamp::MIN).to_string();
        assert!(cursor.parse::<Cursor>().is_ok());
        for bad in ["", "AQ", "!", &cursor.replacen('A', "B", 1), &format!("{cursor}AA")] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
