//! The fields of a request: from JSON, from a form, from the query.

use odyssey_aws::lambda::HttpRequest;
use std::collections::BTreeMap;

/// A larger body is none of ours.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;
/// More fields are not looked at.
const FIELDS_MAX: usize = 64;

/// Named texts. `Debug` shows the names alone: the values are personal.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a body has no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldsError {
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error(
        "expected a JSON object of texts or a form, found something else at line {line} column {column}"
    )]
    Malformed { line: usize, column: usize },
}

impl Fields {
    /// The fields of the body and, where the body lacks them, of the query.
    ///
    /// # Errors
    /// Where the body is too large, or neither a JSON object nor a form.
    pub(crate) fn read(request: &HttpRequest) -> Result<Fields, FieldsError> {
        let mut fields = form(&request.raw_query);
        if request.body.len() > BODY_BYTES_MAX {
            return Err(FieldsError::TooLarge);
        }
        let text = String::from_utf8_lossy(&request.body);
        let text = text.trim();
        let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with("multipart/form-data") {
            fields.extend(multipart(text));
        } else if text.starts_with('{') || kind.starts_with("application/json") {
            if !text.is_empty() {
                fields.extend(json(text)?);
            }
        } else {
            fields.extend(form(text));
        }
        Ok(Fields(fields))
    }

    /// A field; none where it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}

/// Texts of a JSON object; values of other types are as if absent.
fn json(text: &str) -> Result<BTreeMap<String, String>, FieldsError> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|e| FieldsError::Malformed { line: e.line(), column: e.column() })?;
    let text = |(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        _ => None,
    };
    Ok(object.into_iter().take(FIELDS_MAX).filter_map(text).collect())
}

/// `application/x-www-form-urlencoded`, which is also a query's shape.
fn form(text: &str) -> BTreeMap<String, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|part| !part.is_empty()).take(FIELDS_MAX).map(pair).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(value) = value {
            out.push(value);
            at += 3;
        } else {
            out.push(if *byte == b'+' { b' ' } else { *byte });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `multipart/form-data`, which RFC 8058 §3.2 recommends to mail programs: each part's name and
/// its text up to the next boundary line.
fn multipart(text: &str) -> BTreeMap<String, String> {
    let Some(boundary) = text.lines().next().filter(|line| line.starts_with("--")) else {
        return BTreeMap::new();
    };
    let field = |part: &str| {
        let part = part.replace("\r\n", "\n");
        let (head, value) = part.split_once("\n\n")?;
        let (_, name) = head.split_once("name=\"")?;
        let (name, _) = name.split_once('"')?;
        Some((name.to_owned(), value.trim_end().to_owned()))
    };
    text.split(boundary.trim_end()).take(FIELDS_MAX).filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, body: &str, query: &str) -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            path: "/v1/consent".to_owned(),
            raw_query: query.to_owned(),
            headers: [("content-type".to_owned(), kind.to_owned())].into(),
            body: body.as_bytes().to_vec(),
            request_id: "r".to_owned(),
            source_ip: "192.0.2.1".to_owned(),
        }
    }

    fn read(kind: &str, body: &str) -> Fields {
        Fields::read(&request(kind, body, "")).unwrap()
    }

    #[test]
    fn every_shape_says_the_same() {
        let form = "application/x-www-form-urlencoded";
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nann+x@example.com\r\n--b--\r\n";
        let want = Some("ann+x@example.com");
        assert_eq!(read(form, "email=ann%2Bx%40example.com&x").get("email"), want);
        assert_eq!(read("application/json", r#"{"email":"ann+x@example.com"}"#).get("email"), want);
        assert_eq!(read("text/plain", r#"{"email":"ann+x@example.com","n":1}"#).get("email"), want);
        assert_eq!(read("multipart/form-data; boundary=b", multipart).get("email"), want);
        let query = request(form, "", "email=ann%2bx@example.com");
        assert_eq!(Fields::read(&query).unwrap().get("email"), want);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(read("", "").get("email"), None);
        assert_eq!(read("", "email=%20").get("email"), None);
        assert_eq!(read("application/json", r#"{"email":7}"#).get("email"), None);
    }

    #[test]
    fn what_is_no_body_of_ours() {
        let large = request("", &"a".repeat(BODY_BYTES_MAX + 1), "");
        assert_eq!(Fields::read(&large), Err(FieldsError::TooLarge));
        for body in ["{", "[1]", "{\"a\":", "nonsense"] {
            let kind = "application/json";
            let error = Fields::read(&request(kind, body, "")).unwrap_err();
            assert!(matches!(error, FieldsError::Malformed { .. }), "{body}");
        }
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        assert_eq!(decoded("%"), "%");
        assert_eq!(decoded("%4"), "%4");
        assert_eq!(decoded("%zz%41+"), "%zzA ");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
