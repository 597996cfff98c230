//! Identifiers: what names a customer, by kind, and which of them an event carries.
//!
//! An event folds under its *strongest* identifier: user id, then external id, e-mail, phone,
//! anonymous id; of several of one kind the least by type and value, so that no order of a list
//! makes a difference. External ids, e-mail and phone are identifiers only from a server: from a
//! browser, whose write key is public, they are attributes ([`vouched`] is not asked).

use crate::event::EventKind;
use crate::personal::{AnonymousId, EmailAddress, ExternalId, PersonalError, PhoneNumber, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// External ids, addresses and numbers of one event that count, the strongest first; the rest of a
/// longer list is an attribute like any other.
pub const VOUCHED_MAX: usize = 16;
/// The longest name of a type of external ids, in bytes.
pub const TYPE_BYTES_MAX: usize = 64;

/// The type of a named external id: `shop_customer_id`, `ticket_user`. Lower case, at most
/// [`TYPE_BYTES_MAX`] bytes of letters, digits, `_`, `-` and `.`. It names nobody and may be shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalType(String);

/// A text is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Its beginning names no kind.
    #[error(
        "expected user:ID, anonymous:ID, email:ADDRESS, phone:+NUMBER, external:TYPE:VALUE or a profile's id, found none of them"
    )]
    UnknownKind,
    /// What follows is none of that kind.
    #[error("{kind}: what was given {error}")]
    Value {
        /// `email`
        kind: &'static str,
        /// Why.
        error: PersonalError,
    },
    /// The type of an external id is none.
    #[error(
        "expected a type of at most {TYPE_BYTES_MAX} letters, digits, `_`, `-` and `.` that is not one of Odyssey's own fields, found another"
    )]
    Type,
}

/// Types with a field of their own: as external ids they would name the same person twice.
const FIELDS: [&str; 7] =
    ["user_id", "userid", "anonymous_id", "anonymousid", "group_id", "email", "phone"];

impl ExternalType {
    /// Reads a type's name, in any case.
    ///
    /// # Errors
    /// Where it is empty, too long, has other characters, or names a field of its own.
    pub fn parse(text: &str) -> Result<ExternalType, IdentifierError> {
        let text = text.trim().to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let named = (1..=TYPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if !named || FIELDS.contains(&text.as_str()) {
            return Err(IdentifierError::Type);
        }
        Ok(ExternalType(text))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExternalType {
    type Error = IdentifierError;
    fn try_from(text: String) -> Result<ExternalType, IdentifierError> {
        ExternalType::parse(&text)
    }
}

impl From<ExternalType> for String {
    fn from(name: ExternalType) -> String {
        name.0
    }
}

/// What sort of identifier something is; strongest first. Stored and shown as `user`,
/// `external:shop_customer_id`, `email`, `phone` or `anonymous`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IdKind {
    /// The id a property gave a customer it knows.
    User,
    /// A named id of another system: a shop's customer id, a ticket system's user.
    External(ExternalType),
    /// An e-mail address that a server vouches for.
    Email,
    /// A phone number that a server vouches for.
    Phone,
    /// The id a device or browser gave itself.
    #[default]
    Anonymous,
}

impl IdKind {
    /// Whether anybody can say it: everything else takes a server's word.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, IdKind::Anonymous)
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdKind::User => f.write_str("user"),
            IdKind::External(named) => write!(f, "external:{}", named.as_str()),
            IdKind::Email => f.write_str("email"),
            IdKind::Phone => f.write_str("phone"),
            IdKind::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl TryFrom<String> for IdKind {
    type Error = IdentifierError;
    fn try_from(text: String) -> Result<IdKind, IdentifierError> {
        match text.as_str() {
            "user" => Ok(IdKind::User),
            "email" => Ok(IdKind::Email),
            "phone" => Ok(IdKind::Phone),
            "anonymous" => Ok(IdKind::Anonymous),
            other => {
                let named = other.strip_prefix("external:").ok_or(IdentifierError::UnknownKind)?;
                ExternalType::parse(named).map(IdKind::External)
            }
        }
    }
}

impl From<IdKind> for String {
    fn from(kind: IdKind) -> String {
        kind.to_string()
    }
}

/// What names a customer. Ordered by strength, then by type and value: the least is the strongest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// `userId`
    User(UserId),
    /// An entry of `context.externalIds`.
    External(ExternalType, ExternalId),
    /// In lower case.
    Email(EmailAddress),
    /// In E.164's form.
    Phone(PhoneNumber),
    /// `anonymousId`
    Anonymous(AnonymousId),
}

impl Identifier {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> IdKind {
        match self {
            Identifier::User(_) => IdKind::User,
            Identifier::External(named, _) => IdKind::External(named.clone()),
            Identifier::Email(_) => IdKind::Email,
            Identifier::Phone(_) => IdKind::Phone,
            Identifier::Anonymous(_) => IdKind::Anonymous,
        }
    }

    /// An address as an identifier: two spellings that differ by case are one.
    ///
    /// # Errors
    /// Where it is no address.
    pub fn email(text: &str) -> Result<Identifier, PersonalError> {
        let address = EmailAddress::parse(text)?.normalized();
        EmailAddress::parse(&address).map(Identifier::Email)
    }

    /// What an entry of `context.externalIds` of this type and with this id names.
    fn of_entry(named: &str, id: &str) -> Option<Identifier> {
        match named.trim().to_ascii_lowercase().as_str() {
            "email" => Identifier::email(id).ok(),
            "phone" => PhoneNumber::parse(id).ok().map(Identifier::Phone),
            _ => {
                let named = ExternalType::parse(named).ok()?;
                Some(Identifier::External(named, ExternalId::parse(id).ok()?))
            }
        }
    }
}

/// As an operator writes it: `user:42`, `external:shop_customer_id:4711`.
impl FromStr for Identifier {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Identifier, IdentifierError> {
        let (kind, value) = text.split_once(':').ok_or(IdentifierError::UnknownKind)?;
        let failed = |kind| move |error| IdentifierError::Value { kind, error };
        match kind {
            "user" => UserId::parse(value).map(Identifier::User).map_err(failed("user")),
            "anonymous" => {
                AnonymousId::parse(value).map(Identifier::Anonymous).map_err(failed("anonymous"))
            }
            "email" => Identifier::email(value).map_err(failed("email")),
            "phone" => PhoneNumber::parse(value).map(Identifier::Phone).map_err(failed("phone")),
            "external" => {
                let (named, id) = value.split_once(':').ok_or(IdentifierError::UnknownKind)?;
                let named = ExternalType::parse(named)?;
                let id = ExternalId::parse(id).map_err(failed("external"))?;
                Ok(Identifier::External(named, id))
            }
            _ => Err(IdentifierError::UnknownKind),
        }
    }
}

/// The identifiers beside user id and anonymous id that a *server's* event carries, strongest
/// first, each once, at most [`VOUCHED_MAX`].
///
/// They are those of `context.externalIds` (Segment's shape: `{id, type, collection, encoding}`;
/// only the collection `users` and the encoding `none`, which is what a missing one means), and of
/// an identify `traits.email` and `traits.phone`, unless the same traits say that they are not
/// verified. `context.traits` gives none: SDKs repeat there whatever they heard last.
#[must_use]
pub fn vouched(
    kind: EventKind,
    traits: &Map<String, Value>,
    context: &Map<String, Value>,
) -> Vec<Identifier> {
    let mut found: BTreeSet<Identifier> = BTreeSet::new();
    if kind == EventKind::Identify {
        let text = |name: &str| traits.get(name).and_then(Value::as_str);
        let denied =
            |names: [&str; 2]| names.into_iter().filter_map(|name| traits.get(name)).any(is_no);
        let email = text("email").filter(|_| !denied(["email_verified", "emailVerified"]));
        let phone = text("phone").filter(|_| !denied(["phone_verified", "phoneVerified"]));
        found.extend(email.and_then(|text| Identifier::email(text).ok()));
        found.extend(phone.and_then(|text| PhoneNumber::parse(text).ok()).map(Identifier::Phone));
    }
    if let Some(Value::Array(entries)) = context.get("externalIds") {
        found.extend(entries.iter().filter_map(of_entry));
    }
    found.into_iter().take(VOUCHED_MAX).collect()
}

/// Whether a trait says no. Form fields and spreadsheets send text and numbers for it.
fn is_no(said: &Value) -> bool {
    match said {
        Value::Bool(said) => !said,
        Value::Number(said) => said.as_f64() == Some(0.0),
        Value::String(said) => {
            ["false", "0", "no"].iter().any(|no| said.trim().eq_ignore_ascii_case(no))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn of_entry(entry: &Value) -> Option<Identifier> {
    let is = |name: &str, wanted: &str| match entry.get(name) {
        None | Some(Value::Null) => true,
        Some(found) => found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(wanted)),
    };
    if !is("collection", "users") || !is("encoding", "none") {
        return None;
    }
    let named = entry.get("type")?.as_str()?;
    match entry.get("id")? {
        Value::String(id) => Identifier::of_entry(named, id),
        Value::Number(id) => Identifier::of_entry(named, &id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(kind: EventKind, traits: &Value, ids: &Value) -> Vec<String> {
        let context = json!({"externalIds": ids});
        let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let shown = |id: Identifier| match id {
            Identifier::User(id) => format!("user:{}", id.expose()),
            Identifier::External(named, id) => {
                format!("external:{}:{}", named.as_str(), id.expose())
            }
            Identifier::Email(address) => format!("email:{}", address.expose()),
            Identifier::Phone(number) => format!("phone:{}", number.expose()),
            Identifier::Anonymous(id) => format!("anonymous:{}", id.expose()),
        };
        vouched(kind, &map(traits), &map(&context)).into_iter().map(shown).collect()
    }

    fn entry(named: &str, id: &str) -> Value {
        json!({"type": named, "id": id, "collection": "users", "encoding": "none"})
    }

    #[test]
    fn the_strongest_comes_first_whatever_the_order() {
        let ids = [
            entry("phone", "+49 151 / 123-456-7"),
            entry("email", " Ann@Example.com "),
            entry("ticket_user", "7"),
            entry("Shop_Customer_ID", "4711"),
        ];
        let expected = [
            "external:shop_customer_id:4711",
            "external:ticket_user:7",
            "email:ann@example.com",
            "phone:+491511234567",
        ];
        let mut turned = ids.clone().to_vec();
        for _ in 0..ids.len() {
            turned.rotate_left(1);
            assert_eq!(found(EventKind::Track, &json!({}), &turned.clone().into()), expected);
        }
    }

    #[test]
    fn what_is_no_identifier() {
        for bad in [
            json!({"type": "crm", "id": "1", "collection": "accounts"}),
            json!({"type": "crm", "id": "1", "encoding": "sha256"}),
            entry("user_id", "42"),
            entry("anonymous_id", "a"),
            entry("group_id", "g"),
            entry("", "1"),
            entry("white space", "1"),
            entry(&"x".repeat(65), "1"),
            entry("crm", "null"),
            entry("crm", "0000"),
            entry("crm", &"9".repeat(257)),
            entry("email", "nobody"),
            entry("phone", "0151 1234567"),
            entry("phone", "+0000000000"),
            json!({"type": "crm"}),
            json!({"id": "1"}),
            json!({"type": "crm", "id": {"not": "text"}}),
            json!("crm"),
            json!(null),
        ] {
            assert!(found(EventKind::Track, &json!({}), &json!([bad])).is_empty(), "{bad}");
        }
        assert!(found(EventKind::Track, &json!({}), &json!({"type": "crm", "id": "1"})).is_empty());
        let number = json!([{"type": "crm", "id": 4711}]);
        assert_eq!(found(EventKind::Track, &json!({}), &number), ["external:crm:4711"]);
    }

    #[test]
    fn traits_name_somebody_in_an_identify_alone() {
        let traits = json!({"email": "Ann@Example.com", "phone": "0049 (151) 1234567"});
        let both = ["email:ann@example.com", "phone:+491511234567"];
        assert_eq!(found(EventKind::Identify, &traits, &json!([])), both);
        for kind in [EventKind::Track, EventKind::Group, EventKind::Page, EventKind::Alias] {
            assert!(found(kind, &traits, &json!([])).is_empty());
        }
        let unverified = json!({"email": "a@b.io", "email_verified": false, "phone": "+4915112345",
            "phoneVerified": true});
        assert_eq!(found(EventKind::Identify, &unverified, &json!([])), ["phone:+4915112345"]);
        for (said, counts) in [
            (json!("false"), false),
            (json!(" False"), false),
            (json!("no"), false),
            (json!("0"), false),
            (json!(0), false),
            (json!(null), true),
            (json!("true"), true),
            (json!(1), true),
        ] {
            let traits = json!({"email": "a@b.io", "emailVerified": said});
            assert_eq!(
                !found(EventKind::Identify, &traits, &json!([])).is_empty(),
                counts,
                "{said}"
            );
        }
    }

    #[test]
    fn a_long_list_is_bounded_and_its_order_still_makes_no_difference() {
        let mut ids: Vec<Value> = (0..500).map(|n| entry("crm", &format!("{n:03}"))).collect();
        let first = found(EventKind::Track, &json!({}), &ids.clone().into());
        assert_eq!(first.len(), VOUCHED_MAX);
        ids.reverse();
        assert_eq!(found(EventKind::Track, &json!({}), &ids.into()), first);
    }

    #[test]
    fn as_an_operator_writes_them() {
        for (text, kind) in [
            ("user:42", "user"),
            ("anonymous:a:1", "anonymous"),
            ("email:Ann@Example.com", "email"),
            ("phone:+49 151 1234567", "phone"),
            ("external:shop_customer_id:a:b", "external:shop_customer_id"),
        ] {
            let id: Identifier = text.parse().unwrap();
            assert_eq!(id.kind().to_string(), kind);
            assert_eq!(IdKind::try_from(kind.to_owned()).unwrap(), id.kind());
        }
        for bad in ["42", "", "user", "user:", "user:null", "email:x", "external:crm", "mail:x@y.z"]
        {
            let error = bad.parse::<Identifier>().unwrap_err();
            assert!(!error.to_string().contains("x@y"), "{error}");
        }
        let shown = format!("{:?}", "email:secret@example.com".parse::<Identifier>().unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
