//! What the columns of a CSV mean, and a row as a call of the Segment API.

use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// The most columns that are read; what a row has beyond them is left out.
pub const COLUMNS_MAX: usize = 1_000;

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The event's name.
    Event,
    /// The call: `track`, `identify` …
    Type,
    /// When it happened.
    Time,
    /// Who, to the property.
    User,
    /// Who, to the device.
    Anonymous,
    /// The address.
    Email,
    /// The message id.
    Message,
}

impl Role {
    /// All of them, with their word in `--column` and the names by which they are recognised, in
    /// lower case without punctuation, the surest first.
    const ALL: [(Role, &'static str, &'static [&'static str]); 7] = [
        (
            Role::Event,
            "event",
            &["event", "eventname", "action", "activity", "activityname", "eventtype"],
        ),
        (Role::Type, "type", &["type", "calltype"]),
        (
            Role::Time,
            "time",
            &[
                "timestamp",
                "originaltimestamp",
                "eventtime",
                "eventtimestamp",
                "occurredat",
                "time",
                "datetime",
                "ts",
                "createdat",
                "eventdate",
                "date",
                "orderdate",
                "invoicedate",
                "receivedat",
                "sentat",
            ],
        ),
        (
            Role::User,
            "user",
            &[
                "userid",
                "customerid",
                "memberid",
                "contactid",
                "personid",
                "shopperid",
                "subscriberid",
                "distinctid",
                "uid",
                "user",
                "customer",
            ],
        ),
        (
            Role::Anonymous,
            "anonymous",
            &["anonymousid", "anonid", "visitorid", "deviceid", "cookieid", "clientid", "visitor"],
        ),
        (
            Role::Email,
            "email",
            &[
                "email",
                "emailaddress",
                "useremail",
                "customeremail",
                "traitsemail",
                "contexttraitsemail",
            ],
        ),
        (Role::Message, "message", &["messageid", "eventid", "insertid", "uuid", "id"]),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Role::ALL.iter().find(|(role, ..)| *role == self).map_or("", |(_, word, _)| word)
    }

    /// The role of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Role> {
        Role::ALL.iter().find(|(_, name, _)| *name == word).map(|(role, ..)| *role)
    }
}

/// Where a column's value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Role(Role),
    /// A JSON object of properties.
    Properties,
    Property(String),
    Trait(String),
    Context(String),
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub struct Columns {
    places: Vec<Place>,
    /// The column of each role, by its name in the file.
    pub roles: BTreeMap<Role, String>,
    /// What every row is where no column says it.
    event: Option<String>,
    /// How many columns were left out.
    pub beyond: usize,
}

impl Columns {
    /// Reads the first row. `given` are the columns that the user named, `event` is what each row
    /// is where no column says it.
    ///
    /// # Errors
    /// What is missing for a row to be an event, in words.
    pub fn of(
        header: &[String],
        given: &[(Role, String)],
        event: Option<&str>,
    ) -> Result<Columns, String> {
        let mut roles: BTreeMap<Role, (usize, String)> = BTreeMap::new();
        for (role, name) in given {
            let Some(at) = header.iter().position(|column| column == name) else {
                return Err(format!(
                    "--column {}={name}: the file has no such column; {}",
                    role.word(),
                    list(header)
                ));
            };
            roles.insert(*role, (at, name.clone()));
        }
        for (role, _, names) in Role::ALL {
            let taken: Vec<usize> = roles.values().map(|(at, _)| *at).collect();
            let found = names.iter().find_map(|name| {
                header
                    .iter()
                    .position(|column| bare(column) == **name)
                    .filter(|at| !taken.contains(at))
            });
            if let (Some(at), false) = (found, roles.contains_key(&role)) {
                let name = header.get(at).cloned().unwrap_or_default();
                roles.insert(role, (at, name));
            }
        }
        if event.is_some() {
            roles.remove(&Role::Event);
        }
        let missing = missing(&roles, event);
        if !missing.is_empty() {
            return Err(format!(
                "no column with {}; {}. Say which it is with --column, such as --column time=InvoiceDate, or what every row is with --event \"Order Completed\"",
                missing.join(", none with "),
                list(header)
            ));
        }
        let places = header.iter().take(COLUMNS_MAX).enumerate().map(|(at, name)| {
            let role = roles.iter().find(|(_, (column, _))| *column == at);
            role.map_or_else(|| place(name), |(role, _)| Place::Role(*role))
        });
        Ok(Columns {
            places: places.collect(),
            roles: roles.iter().map(|(role, (_, name))| (*role, name.clone())).collect(),
            event: event.map(str::to_owned),
            beyond: header.len().saturating_sub(COLUMNS_MAX),
        })
    }

    /// A row as a call: JSON of the Segment API.
    #[must_use]
    pub fn call<'c>(&self, cells: impl Iterator<Item = &'c str>) -> Map<String, Value> {
        let mut call = Map::new();
        let (mut properties, mut traits, mut context) = (Map::new(), Map::new(), Map::new());
        let mut email = None;
        for (place, text) in self.places.iter().zip(cells) {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            match place {
                Place::Role(Role::Email) => email = Some(text.to_owned()),
                Place::Role(role) => {
                    let value = if *role == Role::Time { date(text) } else { text.to_owned() };
                    call.insert(field(*role).to_owned(), value.into());
                }
                Place::Properties => match serde_json::from_str(text) {
                    Ok(Value::Object(members)) => properties.extend(members),
                    _ => drop(properties.insert("properties".to_owned(), text.into())),
                },
                Place::Property(name) => drop(properties.insert(name.clone(), value(text))),
                Place::Trait(name) => drop(traits.insert(name.clone(), value(text))),
                Place::Context(name) => drop(context.insert(name.clone(), value(text))),
            }
        }
        if let Some(event) = &self.event {
            call.insert("event".to_owned(), event.as_str().into());
        }
        if let Some(email) = email {
            // Who has no other id is told by the address.
            if !call.contains_key("userId") && !call.contains_key("anonymousId") {
                call.insert("userId".to_owned(), email.to_lowercase().into());
            }
            traits.insert("email".to_owned(), email.into());
        }
        let known = call.get("type").and_then(Value::as_str).is_some_and(is_call);
        if !known {
            call.insert("type".to_owned(), "track".into());
        }
        let identifies = call.get("type").and_then(Value::as_str) == Some("identify");
        if identifies {
            traits.extend(std::mem::take(&mut properties));
        }
        for (name, members) in
            [("properties", properties), ("traits", traits), ("context", context)]
        {
            if !members.is_empty() {
                call.insert(name.to_owned(), members.into());
            }
        }
        call
    }
}

/// What a row cannot do without.
fn missing(roles: &BTreeMap<Role, (usize, String)>, event: Option<&str>) -> Vec<&'static str> {
    let has = |role| roles.contains_key(&role);
    let mut missing = Vec::new();
    if !has(Role::Event) && !has(Role::Type) && event.is_none() {
        missing.push("the event's name");
    }
    if !has(Role::Time) {
        missing.push("its time");
    }
    if !has(Role::User) && !has(Role::Anonymous) && !has(Role::Email) {
        missing.push("who it was");
    }
    missing
}

fn list(header: &[String]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = header.iter().take(SHOWN).map(String::as_str).collect();
    let more = if header.len() > SHOWN { " …" } else { "" };
    format!("its {} columns are {}{more}", header.len(), names.join(", "))
}

fn is_call(text: &str) -> bool {
    matches!(text, "track" | "identify" | "page" | "screen" | "group" | "alias")
}

const fn field(role: Role) -> &'static str {
    match role {
        Role::Event => "event",
        Role::Type => "type",
        Role::Time => "timestamp",
        Role::User => "userId",
        Role::Anonymous => "anonymousId",
        Role::Email => "email",
        Role::Message => "messageId",
    }
}

/// A column's name in lower case without punctuation.
fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn place(name: &str) -> Place {
    let name = name.trim();
    let within = |prefix: &str| {
        let rest = name.strip_prefix(prefix)?.strip_prefix(['.', '_'])?;
        (!rest.is_empty()).then(|| rest.to_owned())
    };
    if name == "properties" {
        return Place::Properties;
    }
    within("properties")
        .or_else(|| within("property"))
        .map(Place::Property)
        .or_else(|| within("traits").or_else(|| within("context_traits")).map(Place::Trait))
        .or_else(|| within("context").map(Place::Context))
        .unwrap_or_else(|| Place::Property(name.to_owned()))
}

/// A cell as a value: numbers, `true` and `false`, JSON lists and objects, else text. What begins
/// with a zero or a plus is an id, not a number.
fn value(cell: &str) -> Value {
    match cell {
        "true" | "TRUE" | "True" => return Value::Bool(true),
        "false" | "FALSE" | "False" => return Value::Bool(false),
        _ => {}
    }
    if cell.starts_with(['[', '{'])
        && let Ok(json @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(cell)
    {
        return json;
    }
    match serde_json::from_str::<Number>(cell) {
        Ok(number) => Value::Number(number),
        Err(_) => cell.into(),
    }
}

/// A time as the API takes it: of eight digits a date is made, which would else be a number of
/// seconds.
fn date(cell: &str) -> String {
    match cell.as_bytes() {
        [y1, y2, y3, y4, m1, m2, d1, d2]
            if cell.bytes().all(|byte| byte.is_ascii_digit()) && matches!(y1, b'1' | b'2') =>
        {
            [*y1, *y2, *y3, *y4, b'-', *m1, *m2, b'-', *d1, *d2].map(char::from).iter().collect()
        }
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn columns(header: &str) -> Result<Columns, String> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Columns::of(&header, &[], None)
    }

    fn row(header: &str, cells: &str) -> Value {
        Value::Object(columns(header).unwrap().call(cells.split(',')))
    }

    #[test]
    fn usual_columns_are_recognised() {
        assert_eq!(
            row(
                "Event Name,Timestamp,Customer ID,E-Mail,price,sku,properties_colour,context_locale",
                "Product Added,2026-01-02,17,ann@example.com,19.90,007,red,de-DE"
            ),
            json!({"type": "track", "event": "Product Added", "timestamp": "2026-01-02", "userId": "17",
                "properties": {"price": 19.90, "sku": "007", "colour": "red"},
                "traits": {"email": "ann@example.com"}, "context": {"locale": "de-DE"}})
        );
        assert_eq!(
            row("type,user_id,timestamp,first_name,traits_city", "identify,u,20260102,Ann,Hamburg"),
            json!({"type": "identify", "userId": "u", "timestamp": "2026-01-02",
                "traits": {"first_name": "Ann", "city": "Hamburg"}})
        );
        assert_eq!(
            row("event,ts,email", "Signed Up,1767312000000,Ann@Example.com"),
            json!({"type": "track", "event": "Signed Up", "timestamp": "1767312000000",
                "userId": "ann@example.com", "traits": {"email": "Ann@Example.com"}})
        );
    }

    #[test]
    fn what_is_missing_is_said_with_what_there_is() {
        let told = columns("Customer,InvoiceNo,Price").unwrap_err();
        assert!(told.starts_with("no column with the event's name, none with its time; its 3 columns are Customer, InvoiceNo, Price."), "{told}");
        let header: Vec<String> = ["id", "when", "sum"].map(str::to_owned).into();
        let given = [(Role::Time, "when".to_owned()), (Role::User, "id".to_owned())];
        let columns = Columns::of(&header, &given, Some("Order Completed")).unwrap();
        let call = Value::Object(columns.call(["7", "2026-01-02", "5"].into_iter()));
        assert_eq!(
            call,
            json!({"type": "track", "event": "Order Completed", "userId": "7",
            "timestamp": "2026-01-02", "properties": {"sum": 5}})
        );
        let unknown = Columns::of(&header, &[(Role::Time, "then".to_owned())], None).unwrap_err();
        assert!(unknown.contains("no such column"), "{unknown}");
    }

    #[test]
    fn cells_are_what_they_look_like() {
        for (cell, expected) in [
            ("5", json!(5)),
            ("-1.5", json!(-1.5)),
            ("007", json!("007")),
            ("+49", json!("+49")),
            ("true", json!(true)),
            ("[1,2]", json!([1, 2])),
            ("{\"a\":1}", json!({"a": 1})),
            ("[1,2", json!("[1,2")),
            ("1e999", json!("1e999")),
            ("NaN", json!("NaN")),
        ] {
            assert_eq!(value(cell), expected, "{cell}");
        }
    }
}
