//! Texts that go into mail headers: one line, no character that could begin another header.

use crate::personal::EmailAddress;

/// The longest subject, in characters; inboxes show far fewer.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// The longest display name in `From`, in characters.
const NAME_CHARS_MAX: usize = 64;
/// Payload bytes of one encoded word: 45 make 60 letters of base64, which with `=?UTF-8?B?` and
/// `?=` stays under the 75 characters of RFC 2047 §2.
const ENCODED_WORD_BYTES: usize = 45;
/// SES's limit for a message tag's value, in characters (API reference of SES v2,
/// `MessageTag`, read 2026-11).
const TAG_CHARS_MAX: usize = 256;

/// Whether a character must not stand in a header: controls, line and paragraph separators, and
/// the marks that turn the direction of text and so disguise it.
const fn is_unfit(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// `text` on one line: unfit characters become blanks, runs of blanks one, and what is longer than
/// `chars` ends in an ellipsis.
#[must_use]
pub fn one_line(text: &str, chars: usize) -> String {
    let fit: String = text.chars().map(|c| if is_unfit(c) { ' ' } else { c }).collect();
    let line = fit.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars {
        return line;
    }
    let mut short: String = line.chars().take(chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `Name <address>` for `From`: an ASCII name is quoted, another one encoded (RFC 2047), as SES
/// asks of `FromEmailAddress`. Without a name, the address alone.
#[must_use]
pub fn mailbox(name: &str, address: &EmailAddress) -> String {
    let name = one_line(name, NAME_CHARS_MAX);
    let address = address.expose();
    if name.is_empty() {
        return address.to_owned();
    }
    if name.is_ascii() {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{quoted}\" <{address}>");
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in name.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encode =
        |word: &String| format!("=?UTF-8?B?{}?=", data_encoding::BASE64.encode(word.as_bytes()));
    let encoded: Vec<String> = words.iter().map(encode).collect();
    format!("{} <{address}>", encoded.join(" "))
}

/// A message tag's value: letters, digits, `_` and `-`; anything else becomes `_`.
#[must_use]
pub fn tag(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    text.chars().take(TAG_CHARS_MAX).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> EmailAddress {
        EmailAddress::parse("shop@example.com").unwrap()
    }

    #[test]
    fn names() {
        let of = |name| mailbox(name, &address());
        assert_eq!(of("Odyssey Shop"), "\"Odyssey Shop\" <shop@example.com>");
        assert_eq!(of("A \"B\" \\C"), "\"A \\\"B\\\" \\\\C\" <shop@example.com>");
        assert_eq!(of("Käse"), "=?UTF-8?B?S8Okc2U=?= <shop@example.com>");
        assert_eq!(of(" \r\n "), "shop@example.com");
        assert_eq!(of("X\r\nBcc: y@z.io"), "\"X Bcc: y@z.io\" <shop@example.com>");
    }

    #[test]
    fn tags() {
        assert_eq!(tag("cart-recovery_1"), "cart-recovery_1");
        assert_eq!(tag("a b\r\nc=ü"), "a_b__c__");
    }

    proptest! {
        #[test]
        fn no_text_begins_another_header(text in "\\PC*|(?s).{0,300}", chars in 1_usize..300) {
            let line = one_line(&text, chars);
            prop_assert!(line.chars().count() <= chars);
            prop_assert!(!line.chars().any(is_unfit));
            prop_assert_eq!(one_line(&line, chars), line.clone());
            let from = mailbox(&text, &address());
            prop_assert!(!from.chars().any(is_unfit) && from.is_ascii());
            prop_assert!(from.ends_with("shop@example.com>") || from == "shop@example.com");
            prop_assert!(tag(&text).bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        }
    }
}
