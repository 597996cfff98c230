//! One deed of a story, and the requests that an SDK makes of it.

use super::story::Customer;
use odyssey_domain::time::{Span, Stamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One deed: a recorded `request`, `calls` of the tracking API, a consent that is handed over
/// (`grants`), or a link of a mail that is followed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// `HH:MM` of the first day, or `1d HH:MM` of the next.
    pub at: String,
    /// Who.
    pub who: String,
    /// What is told.
    pub says: String,
    /// The source that posts `calls` or hands over `grants`: a browser makes a request of each call
    /// as analytics.js does, a server one of all.
    #[serde(default)]
    pub from: Option<String>,
    /// Calls of the tracking API.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// The topic to which a server says the customer has consented.
    #[serde(default)]
    pub grants: Option<String>,
    /// What is posted, as it was recorded.
    #[serde(default)]
    pub request: Option<Request>,
    /// Which link of a mail is followed.
    #[serde(default)]
    pub follows: Option<Follows>,
    /// Its place in the story; ids of messages are made of it.
    #[serde(skip)]
    pub number: usize,
}

/// A request as an SDK makes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Whose write key goes into Basic auth.
    #[serde(default)]
    pub source: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, with `@…` to be filled in.
    pub body: Value,
}

/// A link that is followed with a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The confirmation mail's.
    Confirm,
    /// The last mail's `List-Unsubscribe`.
    Unsubscribe,
}

/// One call of the tracking API; exactly one of `track`, `page` and `identify` says which.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// A track event's name.
    #[serde(default)]
    track: Option<String>,
    /// A page's name.
    #[serde(default)]
    page: Option<String>,
    /// An identify's traits, beside the name and the address of the cast.
    #[serde(default)]
    identify: Option<Map<String, Value>>,
    /// Whether the identify names nobody: an address that was left, and no account.
    #[serde(default)]
    anonymous: bool,
    /// Properties, with `@…` to be filled in.
    #[serde(default)]
    properties: Map<String, Value>,
    /// When it happened, each time of which makes a call; the time of the deed where there is none.
    #[serde(default)]
    at: Vec<String>,
}

impl Deed {
    /// Whether it is one deed, and told so that it can be done.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self, midnight: Stamp) -> Result<(), String> {
        let kinds = [
            self.request.is_some(),
            !self.calls.is_empty(),
            self.grants.is_some(),
            self.follows.is_some(),
        ];
        if kinds.into_iter().filter(|is| *is).count() != 1 {
            return Err("expected one of request, calls, grants, follows".to_owned());
        }
        if (!self.calls.is_empty() || self.grants.is_some()) != self.from.is_some() {
            return Err("calls and grants, and they alone, are from a source".to_owned());
        }
        for call in &self.calls {
            let kinds = [call.track.is_some(), call.page.is_some(), call.identify.is_some()];
            if kinds.into_iter().filter(|is| *is).count() != 1 {
                return Err("expected one of track, page, identify in a call".to_owned());
            }
            if let Some(at) = call.at.iter().find(|at| moment(midnight, at).is_none()) {
                return Err(format!("`{at}` is no HH:MM or -40d HH:MM"));
            }
        }
        Ok(())
    }

    /// The calls as JSON bodies, without write keys; the browser's know the user id once somebody
    /// has `signed_in`.
    pub(super) fn messages(
        &self,
        customer: &Customer,
        browser: bool,
        signed_in: &mut bool,
    ) -> Vec<Value> {
        let mut messages = Vec::new();
        for call in &self.calls {
            let own = [self.at.clone()];
            let times = if call.at.is_empty() { &own[..] } else { &call.at[..] };
            *signed_in |= call.identify.is_some() && !call.anonymous;
            for at in times {
                let id = format!("{}-{:03}-{:03}", self.who, self.number, messages.len());
                let mut message = call.message(customer);
                message["messageId"] = id.into();
                message["timestamp"] = format!("@{at}").into();
                if browser {
                    message["anonymousId"] = customer.anonymous_id.as_str().into();
                    message["context"] = context(&self.who, at);
                }
                if *signed_in || !browser {
                    message["userId"] = customer.user_id.as_str().into();
                }
                messages.push(message);
            }
        }
        messages
    }
}

impl Call {
    fn message(&self, customer: &Customer) -> Value {
        if let Some(traits) = &self.identify {
            let (first, last) = customer.name.split_once(' ').unwrap_or((&customer.name, ""));
            let mut all = Map::new();
            all.insert("email".to_owned(), customer.email.as_str().into());
            all.insert("first_name".to_owned(), first.into());
            all.insert("last_name".to_owned(), last.into());
            all.extend(traits.clone());
            return json!({"type": "identify", "traits": all});
        }
        match &self.track {
            Some(name) => json!({"type": "track", "event": name, "properties": self.properties}),
            None => json!({"type": "page", "name": self.page, "properties": self.properties}),
        }
    }
}

/// What a browser says of itself with each call; a visit is a session.
fn context(who: &str, at: &str) -> Value {
    let day = at.split_once("d ").map_or("0", |(day, _)| day);
    json!({
        "library": {"name": "analytics.js", "version": "npm:next-1.81.0"},
        "locale": "en-GB",
        "timezone": "Europe/Berlin",
        "sessionId": format!("{who}-day-{day}"),
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
    })
}

/// `08:55`, `1d 08:55` or `-40d 08:55` as an instant.
#[must_use]
pub fn moment(midnight: Stamp, text: &str) -> Option<Stamp> {
    let (days, time) = match text.split_once("d ") {
        Some((days, time)) => (days.parse::<i64>().ok()?, time),
        None => (0, text),
    };
    let (hours, minutes) = time.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
    if hours >= 24 || minutes >= 60 {
        return None;
    }
    let span = Span::DAY.times(days.unsigned_abs());
    let day = if days < 0 { midnight.minus(span) } else { midnight.plus(span) };
    Some(day.plus(Span::HOUR.times(hours)).plus(Span::MINUTE.times(minutes)))
}

/// Fills in `@HH:MM`, `@now` and `@source`.
#[must_use]
pub fn fill(
    value: &Value,
    midnight: Stamp,
    now: Stamp,
    write_keys: &BTreeMap<String, String>,
) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('@') {
            Some("now") => now.to_string().into(),
            Some(word) => match (moment(midnight, word), write_keys.get(word)) {
                (Some(at), _) => at.to_string().into(),
                (None, Some(key)) => key.clone().into(),
                (None, None) => value.clone(),
            },
            None => value.clone(),
        },
        Value::Array(items) => {
            items.iter().map(|item| fill(item, midnight, now, write_keys)).collect()
        }
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| (name.clone(), fill(item, midnight, now, write_keys)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders() {
        let midnight = Stamp::from_ms(0);
        let keys = [("web".to_owned(), "web.key".to_owned())].into();
        let value = json!({"a": ["@08:30", "@web", "@1d 00:01", "a@b.io", "@nobody"]});
        let filled = fill(&value, midnight, midnight, &keys);
        let wanted = json!({"a": ["1970-01-01T08:30:00.000Z", "web.key", "1970-01-02T00:01:00.000Z", "a@b.io", "@nobody"]});
        assert_eq!(filled, wanted);
        assert_eq!(moment(midnight, "25:00"), None);
        let later = midnight.plus(Span::DAY.times(50));
        assert_eq!(moment(later, "-40d 00:00"), Some(midnight.plus(Span::DAY.times(10))));
    }

    fn deed(yaml: &str) -> Deed {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn calls_are_what_sdks_make_of_them() {
        let customer: Customer = serde_saphyr::from_str(
            "{name: Ann Ek, email: a@x.example, user_id: u1, anonymous_id: a1, story: s}",
        )
        .unwrap();
        let mut signed_in = false;
        let deed = deed(
            "{at: '08:00', who: ann, says: s, from: web, calls: [{page: Home}, {identify: {plan: pro}}, {track: Played, at: ['-2d 08:00', '07:00']}]}",
        );
        deed.check(Stamp::MIN).unwrap();
        let messages = deed.messages(&customer, true, &mut signed_in);
        assert_eq!(messages.len(), 4);
        assert_eq!(messages[0].get("userId"), None, "not signed in yet");
        assert_eq!(messages[1]["traits"]["last_name"], "Ek");
        assert_eq!(messages[3]["userId"], "u1");
        assert_eq!(messages[2]["timestamp"], "@-2d 08:00");
        let mut ids: Vec<&str> = messages.iter().filter_map(|m| m["messageId"].as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        // A server knows whom it speaks of, and of no browser.
        let server = deed.messages(&customer, false, &mut false);
        assert_eq!(server[0]["userId"], "u1");
        assert_eq!(server[0].get("anonymousId"), None);
    }

    #[test]
    fn a_deed_is_one_deed() {
        for yaml in [
            "{at: '08:00', who: a, says: s}",
            "{at: '08:00', who: a, says: s, grants: x}",
            "{at: '08:00', who: a, says: s, follows: confirm, from: web}",
            "{at: '08:00', who: a, says: s, from: web, calls: [{}]}",
            "{at: '08:00', who: a, says: s, from: web, calls: [{page: P, at: [noon]}]}",
        ] {
            assert!(deed(yaml).check(Stamp::MIN).is_err(), "{yaml}");
        }
    }
}
