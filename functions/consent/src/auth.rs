//! Who calls: the source whose write key came with the request.

use crate::fields::Fields;
use odyssey_aws::lambda::HttpRequest;
use odyssey_domain::catalog::{Catalog, SourceName};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::wire::SourceKind;

/// A source that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its name.
    pub(crate) source: SourceName,
    /// Whether its key is public.
    pub(crate) kind: SourceKind,
}

/// The caller by the write key: the user name of Basic authentication, else `writeKey` of the body
/// or the query. None where there is none or it is not one of this workspace's.
pub(crate) fn caller(
    catalog: &Catalog,
    keys: &Keyring,
    request: &HttpRequest,
    fields: &Fields,
) -> Option<Caller> {
    let basic = request.header("authorization").and_then(basic_user);
    let key = basic.or_else(|| fields.get("writeKey").map(str::to_owned))?;
    let (name, _) = key.split_once('.')?;
    let name = SourceName::parse(name).ok()?;
    let source = catalog.sources.get(&name)?;
    let proven = keys.is_write_key(&key, name.as_str(), source.key_generation);
    proven.then_some(Caller { kind: source.kind, source: name })
}

/// The user name in `Basic …`.
fn basic_user(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = data_encoding::BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user).to_owned();
    (!user.is_empty()).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication() {
        let of = |text: &str| {
            basic_user(&format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes())))
        };
        assert_eq!(of("shop.abc:").as_deref(), Some("shop.abc"));
        assert_eq!(of("shop.abc").as_deref(), Some("shop.abc"));
        assert_eq!(of(":x"), None);
        for header in ["", "Basic", "Basic ???", "Bearer c2hvcA==", "Basic /w=="] {
            assert_eq!(basic_user(header), None, "{header}");
        }
    }
}
