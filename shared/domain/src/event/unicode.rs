//! Makes a body Unicode text without losing an event of it.
//!
//! A browser that cuts a string in the middle of an emoji sends half of it as an escape
//! (`"\ud83d"`), which is JSON by its grammar but no text, and which `serde_json` refuses to decode.
//! Bytes that are not UTF-8 are no better. Both become U+FFFD, the replacement character, before
//! anything is parsed: a broken product title must not cost the order. Ids are the exception, there
//! U+FFFD is refused (`super::item`): two broken ids would become one person.

/// The escape that takes a lone surrogate's place; of the same length.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// The body as text. Costs one pass over it, which looks for backslashes alone.
#[must_use]
pub fn to_text(mut body: Vec<u8>) -> String {
    if body.starts_with(b"\xEF\xBB\xBF") {
        // A byte order mark, which RFC 8259 §8.1 lets a parser ignore.
        body.drain(..3);
    }
    replace_lone_surrogates(&mut body);
    match String::from_utf8(body) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Replaces each `\uD800`…`\uDFFF` that is not one of a pair. Outside of strings JSON has no
/// backslash, so that it is enough to read every escape in its turn.
fn replace_lone_surrogates(body: &mut [u8]) {
    let mut at = 0;
    while let Some(escape) = find_backslash(body, at) {
        at = match surrogate(body, escape) {
            None => escape + 2,
            Some(Half::High) if surrogate(body, escape + 6) == Some(Half::Low) => escape + 12,
            Some(_) => {
                if let Some(lone) = body.get_mut(escape..escape + 6) {
                    lone.copy_from_slice(REPLACEMENT);
                }
                escape + 6
            }
        };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// Which half of a pair the escape at `at` is, if it is one.
fn surrogate(body: &[u8], at: usize) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth] = body.get(at..at + 6)? else {
        return None;
    };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::High),
        b'c'..=b'f' | b'C'..=b'F' => Some(Half::Low),
        _ => None,
    }
}

/// How many bytes are asked at once; the compiler turns each block into a few vector compares.
const BLOCK: usize = 64;

fn find_backslash(body: &[u8], from: usize) -> Option<usize> {
    let mut base = from;
    for block in body.get(from..)?.chunks(BLOCK) {
        if block.iter().fold(0, |any, byte| any | u8::from(*byte == b'\\')) != 0 {
            return block.iter().position(|byte| *byte == b'\\').map(|at| base + at);
        }
        base += block.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(body: &str) -> String {
        to_text(body.as_bytes().to_vec())
    }

    #[test]
    fn halves_are_replaced_and_pairs_are_kept() {
        for (body, expected) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ude00b""#, r#""\ufffdb""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83"#, r#""\ud83"#),
            (r#""\ud8zz""#, r#""\ud8zz""#),
            ("\u{feff}{}", "{}"),
        ] {
            assert_eq!(text(body), expected, "{body}");
        }
        assert_eq!(to_text(b"\"M\xFCnchen\"".to_vec()), "\"M\u{fffd}nchen\"");
    }

    proptest! {
        /// What is JSON already stays byte for byte; what is not JSON only for its surrogates is
        /// JSON afterwards.
        #[test]
        fn text_stays_and_surrogates_decode(
            plain in ".{0,80}",
            units in proptest::collection::vec(any::<u16>(), 0..40),
        ) {
            let json = serde_json::to_string(&plain).unwrap();
            prop_assert_eq!(text(&json), json);
            let escaped = units.iter().fold(String::new(), |escaped, unit| {
                format!("{escaped}\\u{unit:04x}")
            });
            let repaired = text(&format!("\"{escaped}\""));
            let decoded: String = serde_json::from_str(&repaired).unwrap();
            prop_assert_eq!(decoded, String::from_utf16_lossy(&units));
        }
    }
}
