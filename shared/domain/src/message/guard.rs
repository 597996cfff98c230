//! What events may bring into a mail: URLs to the workspace's own hosts, and strings of bounded
//! length without marks that disguise.
//!
//! A browser's write key is public, so anyone can put any text into a trait or a property. Escaping
//! keeps it from becoming markup; the guard keeps it from becoming somebody else's link.

use crate::catalog::Brand;
use serde_json::{Map, Value};

/// The longest string that is rendered of an event, in characters.
pub const STRING_CHARS_MAX: usize = 300;
/// The longest URL that is rendered, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Deeper values are left out.
const DEPTH_MAX: usize = 8;
/// Further elements of a list or an object are left out.
const ELEMENTS_MAX: usize = 100;

/// Schemes that a mail client or browser might act on, besides `http` and `https`.
const ACTIVE_SCHEMES: [&str; 8] =
    ["javascript:", "vbscript:", "data:", "file:", "blob:", "intent:", "ftp:", "ws:"];

/// Keeps URLs to a workspace's own hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlGuard {
    website: String,
    hosts: Vec<String>,
}

/// `scheme://authority/rest`, cut apart; only for `http` and `https`.
fn authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    web.then(|| rest.get(..end)).flatten().filter(|authority| !authority.is_empty())
}

impl UrlGuard {
    /// The guard of a workspace: its website's host and its `allowed_hosts`, each as `host`,
    /// `host:port` or `*.domain`.
    #[must_use]
    pub fn new(brand: &Brand) -> UrlGuard {
        let own = authority(&brand.website).unwrap_or_default();
        let hosts = brand.allowed_hosts.iter().map(String::as_str).chain([own]);
        UrlGuard {
            website: brand.website.clone(),
            hosts: hosts
                .filter(|host| !host.is_empty())
                .map(|host| host.trim().to_ascii_lowercase())
                .collect(),
        }
    }

    /// The URL as it is where it leads to an allowed host; a path (`/p/1`) on the website; the
    /// website for anything else.
    #[must_use]
    pub fn url(&self, text: &str) -> String {
        let text = text.trim();
        let unfit = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.len() > URL_BYTES_MAX || text.chars().any(unfit) {
            return self.website.clone();
        }
        if text.starts_with('/') && !text.starts_with("//") {
            let end = authority(&self.website).map_or(0, |host| {
                self.website.find("://").map_or(0, |at| at + "://".len() + host.len())
            });
            return format!("{}{text}", self.website.get(..end).unwrap_or_default());
        }
        match authority(text) {
            Some(host) if self.allows(host) => text.to_owned(),
            _ => self.website.clone(),
        }
    }

    fn allows(&self, authority: &str) -> bool {
        // `@` would put the host behind a user name, `%` encode it.
        if authority.contains(['@', '%']) {
            return false;
        }
        let authority = authority.to_ascii_lowercase();
        self.hosts.iter().any(|host| match host.strip_prefix("*.") {
            Some(domain) => authority
                .strip_suffix(domain)
                .is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
            None => *host == authority,
        })
    }

    /// A string of an event as it may be rendered: URLs in it guarded, at most
    /// [`STRING_CHARS_MAX`] characters, no control characters but line breaks and tabs.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let fit = |c: char| match c {
            '\n' | '\t' => Some(c),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            c if c.is_control() => Some(' '),
            c => Some(c),
        };
        let text: String = text.chars().filter_map(fit).collect();
        let whole = text.trim();
        if looks_like_url(whole) && !whole.contains(char::is_whitespace) {
            return self.url(whole);
        }
        let between = |c: char| c.is_whitespace() || "<>\"'()[]{},;|".contains(c);
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(between) {
            let end = piece.chars().next_back().filter(|c| between(*c)).map_or(0, char::len_utf8);
            let (word, mark) = piece.split_at(piece.len() - end);
            if looks_like_url(word) {
                out.push_str(&self.url(word));
            } else {
                out.push_str(word);
            }
            out.push_str(mark);
        }
        match out.char_indices().nth(STRING_CHARS_MAX) {
            None => out,
            Some(_) => out.chars().take(STRING_CHARS_MAX - 1).chain(['…']).collect(),
        }
    }

    /// A value of an event as it may be rendered, all through.
    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        self.within(value, 0)
    }

    fn within(&self, value: &Value, depth: usize) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => Value::Null,
            Value::Array(list) => Value::Array(
                list.iter().take(ELEMENTS_MAX).map(|v| self.within(v, depth + 1)).collect(),
            ),
            Value::Object(map) => {
                let guarded = |(name, value): (&String, &Value)| {
                    (self.text(name), self.within(value, depth + 1))
                };
                Value::Object(map.iter().take(ELEMENTS_MAX).map(guarded).collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// Whether a word would act as a link, in a mail client or as an `href`.
fn looks_like_url(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    ["//", "http:", "https:"].iter().any(|part| lower.contains(part))
        || ["/\\", "\\", "www."].iter().any(|start| lower.starts_with(start))
        || ACTIVE_SCHEMES.iter().any(|scheme| lower.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal::EmailAddress;
    use proptest::prelude::*;

    fn guard() -> UrlGuard {
        UrlGuard::new(&Brand {
            name: "Shop".to_owned(),
            from: EmailAddress::parse("shop@example.com").unwrap(),
            reply_to: None,
            postal_address: "1 Road".to_owned(),
            website: "https://shop.example.com/en".to_owned(),
            allowed_hosts: vec!["cdn.example.net".to_owned(), "*.img.example.org".to_owned()],
        })
    }

    const WEBSITE: &str = "https://shop.example.com/en";

    #[test]
    fn our_own_urls_stay() {
        for url in [
            "https://shop.example.com/p/1?a=b#c",
            "http://shop.example.com",
            "HTTPS://CDN.example.net/x.png",
            "https://a.img.example.org/x",
        ] {
            assert_eq!(guard().url(url), url);
            assert_eq!(guard().text(url), url);
        }
        assert_eq!(guard().url("/p/1"), "https://shop.example.com/p/1");
    }

    #[test]
    fn other_urls_become_the_website() {
        for url in [
            "https://evil.io/",
            "https://shop.example.com@evil.io/",
            "https://shop.example.com.evil.io/",
            "https://shop.example.com:444/",
            "https://shop.example.com%2eevil.io/",
            "https://img.example.org/",
            "https://.img.example.org/",
            "https://evilimg.example.org/",
            "//evil.io/x",
            "/\\evil.io",
            "\\\\evil.io",
            "https:evil.io",
            "https:///evil.io",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://evil.io\\@shop.example.com/",
        ] {
            assert_eq!(guard().url(url), WEBSITE, "{url}");
            assert!(!guard().text(url).contains("evil"), "{url} → {}", guard().text(url));
        }
        assert_eq!(guard().url("java\nscript:x"), WEBSITE);
        assert_eq!(guard().url(""), WEBSITE);
    }

    #[test]
    fn urls_inside_a_text_are_guarded_too() {
        assert_eq!(
            guard().text("You won! (https://evil.io/x), see www.evil.io or //evil.io"),
            format!("You won! ({WEBSITE}), see {WEBSITE} or {WEBSITE}")
        );
        assert_eq!(guard().text("Size:XL, 3/4 sleeve"), "Size:XL, 3/4 sleeve");
        assert_eq!(guard().text("a\u{202e}b\u{7}c"), "ab c");
    }

    #[test]
    fn long_and_deep_values_are_cut() {
        let long = guard().text(&"ä".repeat(5_000));
        assert_eq!(long.chars().count(), STRING_CHARS_MAX);
        let deep = (0..50).fold(Value::from(1), |inner, _| Value::Array(vec![inner]));
        assert!(guard().value(&deep).to_string().len() < 30);
        let wide = Value::Array(vec![Value::from(1); 1_000]);
        assert_eq!(guard().value(&wide).as_array().unwrap().len(), ELEMENTS_MAX);
    }

    proptest! {
        #[test]
        fn no_text_smuggles_a_host(
            before in "[a-zA-Z :/\\\\.@\t\n]{0,12}",
            scheme in "(https?|HTTPS|javascript|ftp):?(/|\\\\){0,3}",
            after in "\\PC{0,12}",
        ) {
            let text = format!("{before}{scheme}evil.io/{after}");
            let shown = guard().text(&text);
            for word in shown.split(char::is_whitespace) {
                // A path on our own website may look like anything.
                if word.starts_with("https://shop.example.com/") {
                    continue;
                }
                for start in ["://evil.io", "//evil.io", "http:evil.io", "https:evil.io"] {
                    prop_assert!(!word.to_lowercase().contains(start), "{text:?} → {shown:?}");
                }
            }
        }
    }
}
