//! Whether a JSON value that was only scanned can be decoded by whoever reads it later.
//!
//! `serde_json` scans a raw value by its grammar alone: it takes any depth and any number. Readers
//! decode it into a tree and would refuse more than 128 levels and numbers past a 64-bit float, so
//! that one event could poison a queue. Ingest refuses it instead.

use super::problem::Problem;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Objects and arrays inside each other in one value; `serde_json` takes 128, of which the
/// envelopes around an event use up some: four on the bus.
pub const DEPTH_MAX: usize = 110;

/// Digits in a row below which a number with an exponent of at most two digits is finite.
const DIGITS_SAFE: usize = 200;

/// Refuses what readers could not decode.
///
/// A few vectorised counts clear nearly every value; only one they cannot clear is walked through.
pub(super) fn check(raw: &RawValue) -> Result<(), Problem> {
    let json = raw.get().as_bytes();
    if !may_be_deep(json) && !may_overflow(json) {
        return Ok(());
    }
    let mut walk = serde_json::Deserializer::from_str(raw.get());
    match (Walk { depth: DEPTH_MAX }).deserialize(&mut walk) {
        Ok(()) => Ok(()),
        // The grammar is known to hold and lone surrogates are gone, so nothing else is left.
        Err(error) if error.is_data() => Err(Problem::Nested { limit: DEPTH_MAX }),
        Err(_) => Err(Problem::Number),
    }
}

/// Counts brackets, those in strings too: an upper bound of the depth.
fn may_be_deep(json: &[u8]) -> bool {
    let brackets = |block: &[u8]| -> usize {
        usize::from(
            block.iter().fold(0_u8, |count, byte| count + u8::from(matches!(byte, b'{' | b'['))),
        )
    };
    json.chunks(255).map(brackets).sum::<usize>() > DEPTH_MAX
}

/// Whether there is something like `5e308` or `5e+99`, or a very long number; hexadecimal ids may
/// look so, now and then.
fn may_overflow(json: &[u8]) -> bool {
    let next = json.get(1..).unwrap_or_default();
    let blocks = json.chunks(BLOCK).zip(next.chunks(BLOCK)).enumerate();
    let mut near_exponents = blocks.filter(|(_, (lasts, nexts))| {
        // Without branches, so that it becomes vector instructions.
        let pairs = lasts.iter().zip(*nexts);
        let near = |last: &u8, e: &u8| u8::from(last.is_ascii_digit()) & u8::from(e | 0x20 == b'e');
        pairs.fold(0, |any, (last, e)| any | near(last, e)) != 0
    });
    near_exponents.any(|(block, _)| {
        let start = block * BLOCK;
        let end = json.len().min(start + BLOCK + EXPONENT_BYTES);
        json.get(start..end).unwrap_or_default().windows(1 + EXPONENT_BYTES).any(is_exponent)
    }) || has_long_number(json)
}

/// How many bytes are asked at once.
const BLOCK: usize = 32;
/// The letter and what makes an exponent dangerous: three digits, or a plus and two.
const EXPONENT_BYTES: usize = 4;

fn is_exponent(window: &[u8]) -> bool {
    matches!(window, [b'0'..=b'9', b'e' | b'E', b'0'..=b'9' | b'+', b'0'..=b'9', b'0'..=b'9'])
}

/// Looks at every 200th byte: a run of 200 digits cannot hide between two of them.
fn has_long_number(json: &[u8]) -> bool {
    (DIGITS_SAFE - 1..json.len()).step_by(DIGITS_SAFE).any(|at| {
        let (before, after) = json.split_at(at);
        let is_digit = |byte: &&u8| byte.is_ascii_digit();
        let run = before.iter().rev().take_while(is_digit).count()
            + after.iter().take_while(is_digit).count();
        run >= DIGITS_SAFE
    })
}

/// Decodes everything and keeps nothing.
struct Walk {
    /// Levels that are left.
    depth: usize,
}

impl Walk {
    fn down<E: Error>(&self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.down()?;
        while items.next_element_seed(Walk { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let depth = self.down()?;
        while fields.next_key::<Skipped>()?.is_some() {
            fields.next_value_seed(Walk { depth })?;
        }
        Ok(())
    }
}

/// A key that is decoded, unlike by [`IgnoredAny`] in a map, and dropped.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Skipped, D::Error> {
        deserializer.deserialize_str(IgnoredAny).map(|_| Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn checked(json: &str) -> Result<(), Problem> {
        check(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn depth() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let refused = Err(Problem::Nested { limit: DEPTH_MAX });
        assert_eq!(checked(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(checked(&nested(DEPTH_MAX + 1)), refused);
        assert_eq!(checked(&nested(100_000)), refused);
        let wide = format!("[{}1]", "[{}],".repeat(10_000));
        assert_eq!(checked(&wide), Ok(()));
        assert_eq!(checked(&format!("\"{}\"", "[".repeat(1_000))), Ok(()));
    }

    #[test]
    fn numbers() {
        for fine in ["1e308", "[1.5e-999]", "{\"id\":\"5e999\"}", "1e22", "\"12e34567\""] {
            assert_eq!(checked(fine), Ok(()), "{fine}");
        }
        let long = "9".repeat(400);
        for beyond in ["1e309", "[-1E+400]", "{\"a\":[1,2.5e999]}", &long, "0.1e310"] {
            assert_eq!(checked(beyond), Err(Problem::Number), "{beyond}");
        }
        let mixed = format!("{}e99", "9".repeat(299));
        assert_eq!(checked(&mixed), Err(Problem::Number));
        assert_eq!(checked(&"9".repeat(300)), Ok(()));
    }

    proptest! {
        /// What passes decodes.
        #[test]
        fn what_passes_decodes(
            mantissa in "-?[1-9][0-9]{0,330}(\\.[0-9]{1,9})?",
            exponent in proptest::option::of("[eE][+-]?[0-9]{1,4}"),
            before in 0_usize..500,
        ) {
            let number = format!("{mantissa}{}", exponent.unwrap_or_default());
            let json = format!("{{\"a\":\"{}\",\"b\":[{number}]}}", "x".repeat(before));
            let decodes = serde_json::from_str::<Value>(&json).is_ok();
            prop_assert_eq!(checked(&json).is_ok(), decodes, "{}", json);
        }
    }
}
