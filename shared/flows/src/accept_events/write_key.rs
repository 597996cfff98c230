//! Who is posting: the write key, wherever the client put it.

use super::ApiRequest;
use odyssey_domain::catalog::{Catalog, Source, SourceName};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::wire::SourceKind;

/// A longer one is none of ours, and is not worth a lookup.
const WRITE_KEY_BYTES_MAX: usize = 256;

/// The key of a request without a body: Basic authorization's user name, else the query's `writeKey`.
pub(super) fn of_request(request: &ApiRequest) -> Option<String> {
    of_authorization(request.authorization.as_deref()).or_else(|| of_query(&request.query))
}

/// The user name of Basic authorization (RFC 7617). What cannot be read as such counts as absent:
/// the key may still be in the body.
pub(super) fn of_authorization(header: Option<&str>) -> Option<String> {
    let (scheme, credentials) = header?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = credentials.trim().trim_end_matches('=');
    let decoded = data_encoding::BASE64_NOPAD.decode(credentials.as_bytes()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let user = decoded.split(':').next()?.trim();
    (!user.is_empty()).then(|| user.to_owned())
}

/// The query's `writeKey`.
pub(super) fn of_query(query: &str) -> Option<String> {
    let named = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        (name == "writeKey" && !value.is_empty()).then(|| percent_decoded(value))
    };
    query.split('&').find_map(named)
}

/// `%41` to `A`; what is no such escape stays.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high)
                    .zip(digit(*low))
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            }
            _ => None,
        };
        bytes.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The source whose key it is: the name before the dot says which, the tag behind it proves it.
pub(super) fn find(
    catalog: &Catalog,
    keyring: &Keyring,
    write_key: &str,
) -> Option<(SourceName, Source)> {
    if write_key.len() > WRITE_KEY_BYTES_MAX {
        return None;
    }
    let (name, _) = write_key.split_once('.')?;
    let (name, source) = catalog.sources.iter().find(|(known, _)| known.as_str() == name)?;
    let proven = keyring.is_write_key(write_key, name.as_str(), source.key_generation);
    proven.then(|| (name.clone(), source.clone()))
}

/// How a source's kind is called where an SDK wants to know.
pub(super) const fn component(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Browser => "browser",
        SourceKind::Server => "server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authorization() {
        for (header, key) in [
            ("Basic V0tfbm9kZTo=", Some("WK_node")),
            ("basic V0tfbm9kZTo", Some("WK_node")),
            ("Basic V0tfbm9kZQ==", Some("WK_node")),
            ("Basic V0tfbm9kZTpwYXNz", Some("WK_node")),
            ("Basic Og==", None),
            ("Basic ///", None),
            ("Basic", None),
            ("Bearer V0tfbm9kZTo=", None),
            ("", None),
        ] {
            assert_eq!(of_authorization(Some(header)).as_deref(), key, "{header}");
        }
    }

    #[test]
    fn queries() {
        for (query, key) in [
            ("writeKey=web.abc", Some("web.abc")),
            ("v=1&writeKey=web%2Eabc&p=npm", Some("web.abc")),
            ("writeKey=", None),
            ("writekey=x", None),
            ("", None),
        ] {
            assert_eq!(of_query(query).as_deref(), key, "{query}");
        }
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
        assert_eq!(percent_decoded("%F0%9F%9A%80"), "\u{1f680}");
    }
}
