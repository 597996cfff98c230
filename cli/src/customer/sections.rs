//! The facts of a profile, by touchpoint and in words.
//!
//! A fact that no section here knows is shown all the same, under its own name: what a later
//! release or a workspace adds must not be missing because nobody wrote a line for it.

use super::text::{MEMBERS_MAX, SHOWN_MAX, clean, is_nothing, number, several, value};
use super::when;
use odyssey_domain::profile::{Currency, Money};
use odyssey_domain::time::{Span, Stamp};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Bars of one line.
const BARS_MAX: usize = 8;
/// Things of one line.
const THINGS_MAX: usize = 12;

/// One touchpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `Cart`
    pub title: &'static str,
    /// What is to be known first, where there is something.
    pub head: Option<String>,
    /// The rest.
    pub lines: Vec<Line>,
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// What is known of it.
    pub shown: Shown,
}

/// How something is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// In words.
    Text(String),
    /// As a time.
    When(Stamp),
    /// As shares of a whole.
    Bars(Vec<Bar>),
    /// As things, one below the other.
    Things(Vec<Thing>),
}

/// A share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// Of what.
    pub name: String,
    /// How much, in words.
    pub much: String,
    /// How much, in a hundred of the greatest.
    pub percent: u64,
}

/// A product, a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its name.
    pub name: String,
    /// What else is known.
    pub more: String,
}

/// The facts, and which of them were asked for.
struct Facts<'a> {
    all: &'a BTreeMap<String, Value>,
    asked: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Facts<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.all.get_key_value(name)?;
        self.asked.borrow_mut().insert(name);
        (!is_nothing(value)).then_some(value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|found| value(found, SHOWN_MAX))
    }

    fn when(&self, name: &str) -> Option<Stamp> {
        Stamp::parse(self.get(name)?.as_str()?).ok()
    }

    fn money(&self, name: &str, currency: &str) -> Option<String> {
        let code = self.get(currency).and_then(Value::as_str);
        Some(money(self.number(name)?, code))
    }

    /// Counts by name, the greatest first.
    fn bars(&self, name: &str, much: impl Fn(u64) -> String) -> Option<Shown> {
        let counts = self.get(name)?.as_object()?;
        bars(counts.iter().filter_map(|(name, n)| Some((name.as_str(), n.as_u64()?))), much)
    }

    fn things(&self, name: &str, thing: impl Fn(&Map<String, Value>) -> Thing) -> Option<Shown> {
        let list = self.get(name)?.as_array()?;
        let mut things: Vec<Thing> =
            list.iter().filter_map(Value::as_object).take(THINGS_MAX).map(thing).collect();
        let left = list.len().saturating_sub(THINGS_MAX);
        if left > 0 {
            let more = several(u64::try_from(left).unwrap_or(u64::MAX), "more");
            things.push(Thing { name: more.trim_end_matches('s').to_owned(), more: String::new() });
        }
        Some(Shown::Things(things))
    }
}

/// `249.00 EUR`
#[must_use]
pub fn money(minor: u64, code: Option<&str>) -> String {
    let currency = code.map_or(Currency::UNKNOWN, Currency::parse);
    let amount = Money(minor, currency).amount();
    match code {
        Some(_) => format!("{amount} {}", currency.code()),
        None => amount,
    }
}

fn bars<'n>(
    counts: impl Iterator<Item = (&'n str, u64)>,
    much: impl Fn(u64) -> String,
) -> Option<Shown> {
    let mut counts: Vec<(&str, u64)> = counts.collect();
    counts.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    let most = counts.first()?.1.max(1);
    let shown = counts.iter().take(BARS_MAX).map(|(name, n)| Bar {
        name: clean(name, 60),
        much: much(*n),
        percent: n.saturating_mul(100) / most,
    });
    Some(Shown::Bars(shown.collect()))
}

/// The lines of one section.
#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn text(&mut self, label: &str, text: Option<String>) {
        self.shown(label, text.map(Shown::Text));
    }

    fn count(&mut self, label: &str, n: Option<u64>) {
        self.text(label, n.map(number));
    }

    fn when(&mut self, label: &str, at: Option<Stamp>) {
        self.shown(label, at.map(Shown::When));
    }

    fn shown(&mut self, label: &str, shown: Option<Shown>) {
        if let Some(shown) = shown {
            self.0.push(Line { label: label.to_owned(), shown });
        }
    }

    fn into_section(self, title: &'static str, head: Option<String>) -> Section {
        Section { title, head, lines: self.0 }
    }
}

/// Every section there is something to say in.
#[must_use]
pub fn of(facts: &BTreeMap<String, Value>) -> Vec<Section> {
    let facts = Facts { all: facts, asked: RefCell::default() };
    let mut all = vec![
        cart(&facts),
        orders(&facts),
        browsing(&facts),
        sessions(&facts),
        content(&facts),
        forms(&facts),
        support(&facts),
        mails(&facts),
        channels(&facts),
        context(&facts),
        events(&facts),
    ];
    all.push(others(&facts));
    all.retain(|section| section.head.is_some() || !section.lines.is_empty());
    all
}

fn product(fields: &Map<String, Value>) -> Thing {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let name = text("name").or(text("id")).unwrap_or("a product");
    let mut more = Vec::new();
    if let Some(n) = fields.get("quantity").and_then(Value::as_u64).filter(|n| *n > 1) {
        more.push(format!("{} pieces", number(n)));
    }
    if let Some(price) = fields.get("price").and_then(Value::as_u64) {
        more.push(money(price, text("currency")));
    }
    if let Some(category) = text("category") {
        more.push(clean(category, 40));
    }
    if let Some(at) = text("viewed").and_then(|at| Stamp::parse(at).ok()) {
        more.push(when::both(at));
    }
    Thing { name: clean(name, 80), more: more.join(" · ") }
}

fn cart(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let items = facts.number("cart.items");
    let _ = facts.number("cart.products");
    let worth = facts.money("cart.value", "cart.currency");
    let head = items.map(|n| match &worth {
        Some(worth) => format!("{}, {worth}", several(n, "piece")),
        None => several(n, "piece"),
    });
    lines.shown("In it", facts.things("cart.lines", product));
    lines.when("Since", facts.when("cart.since"));
    lines.when("Checkout open since", facts.when("checkout.since"));
    let _ = facts.number("checkout.items");
    // A cart that is empty again says only when that was.
    lines.when("Last touched", facts.when("cart.updated"));
    lines.when("Last went to the checkout", facts.when("cart.checkout"));
    lines.text("Cart id", facts.text("cart.id"));
    lines.into_section("Cart", head)
}

fn orders(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let count = facts.number("orders.count");
    let worth = facts.money("orders.value", "orders.currency");
    let head = count.map(|n| match &worth {
        Some(worth) => format!("{}, {worth}", several(n, "order")),
        None => several(n, "order"),
    });
    let average = facts.money("orders.average", "orders.currency");
    lines.text("Average order", average);
    if let Some(Value::Object(values)) = facts.get("orders.values")
        && values.len() > 1
    {
        let each: Vec<String> = values
            .iter()
            .filter_map(|(code, minor)| Some(money(minor.as_u64()?, Some(code))))
            .collect();
        lines.text("In each currency", Some(each.join(" · ")));
    }
    lines.text("Price band of a piece", facts.text("orders.price_band"));
    lines.when("First", facts.when("orders.first"));
    lines.when("Last", facts.when("orders.last"));
    let between = facts.number("orders.days_between");
    lines.text("Between two", between.map(|days| several(days, "day")));
    let orders = |n| several(n, "order");
    lines.shown("Categories", facts.bars("orders.categories", orders));
    lines.shown("Brands", facts.bars("orders.brands", orders));
    lines.into_section("Orders", head)
}

fn browsing(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let favourite = facts.text("interest.category");
    let head = favourite.map(|category| format!("Lingers on {category}"));
    let seconds = |n| when::length(Span::SECOND.times(n));
    lines.shown("Interest, by time spent", facts.bars("interest.categories", seconds));
    lines.shown(
        "Views, last 14 days with one",
        facts.bars("browse.categories", |n| several(n, "view")),
    );
    lines.shown("Products looked at last", facts.things("browse.products", product));
    lines.shown("Products, by time spent", facts.bars("interest.products", seconds));
    // The same numbers as the bars, one by one: for conditions.
    for name in facts.all.keys().filter(|name| name.starts_with("browse.")) {
        let _ = facts.get(name);
    }
    lines.into_section("Browsing", head)
}

fn sessions(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let head = facts.number("sessions.count").map(|n| several(n, "session"));
    let length =
        |name: &str| facts.number(name).map(|seconds| when::length(Span::SECOND.times(seconds)));
    lines.count("Pages", facts.number("sessions.pages"));
    lines.text("Time visible", length("sessions.seconds"));
    lines.text("Average session", length("sessions.average_seconds"));
    let percent = |name: &str| facts.number(name).map(|percent| format!("{percent} %"));
    lines.text("Reads, on average", percent("sessions.scroll_depth"));
    lines.text("Reads, at most", percent("sessions.scroll_deepest"));
    lines.count("Things hovered on", facts.number("sessions.hovers"));
    lines.when("Last", facts.when("sessions.last"));
    let days = facts.number("activity.days");
    lines.text("Active, of the last 64 days", days.map(|days| several(days, "day")));
    let _ = facts.get("activity.last");
    lines.into_section("Visits", head)
}

fn content(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let head = facts.number("content.started").map(|n| format!("{} begun", several(n, "video")));
    lines.count("Watched to the end", facts.number("content.completed"));
    lines.shown("Genres", facts.bars("content.genres", |n| several(n, "start")));
    let _ = facts.get("content.genre");
    let video = |fields: &Map<String, Value>| {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let mut more = Vec::new();
        more.extend(text("program").map(|program| clean(program, 60)));
        match (fields.get("finished"), fields.get("percent").and_then(Value::as_u64)) {
            (Some(Value::Bool(true)), _) => more.push("to the end".to_owned()),
            (_, Some(percent)) => more.push(format!("{percent} %")),
            _ => {}
        }
        let name = text("title").or(text("id")).unwrap_or("a video");
        Thing { name: clean(name, 80), more: more.join(" · ") }
    };
    lines.shown("Last", facts.things("content.recent", video));
    lines.when("Last watched", facts.when("content.last"));
    lines.into_section("Watching", head)
}

fn forms(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let head = facts.number("forms.submitted").map(|n| format!("{} sent", several(n, "form")));
    lines.text("Begun and not sent", facts.text("forms.open"));
    lines.into_section("Forms", head)
}

fn support(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let open = facts.number("support.open");
    let head = facts.number("support.tickets").map(|n| match open {
        Some(open) => format!("{}, {} open", several(n, "ticket"), number(open)),
        None => several(n, "ticket"),
    });
    lines.count("Complaints", facts.number("support.complaints"));
    lines.text("The last was about", facts.text("support.complaint"));
    lines.text("Last score", facts.text("support.score"));
    lines.text("Average score", facts.text("support.average_score"));
    lines.into_section("Support", head)
}

fn mails(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let head = facts.number("mails.delivered").map(|n| format!("{} delivered", several(n, "mail")));
    lines.count("Opened by people, of the last 16", facts.number("mails.opened"));
    lines.count("Clicked by people, of the last 16", facts.number("mails.clicked"));
    lines.count("Opened or clicked by machines", facts.number("mails.by_machines"));
    lines.count("Bounced", facts.number("mails.bounced"));
    lines.count("Marked as spam", facts.number("mails.spam"));
    lines.count("Unsubscribed", facts.number("mails.unsubscribed"));
    lines.when("Last opened", facts.when("mails.last_opened"));
    lines.when("Last clicked", facts.when("mails.last_clicked"));
    lines.into_section("Mail engagement", head)
}

fn channels(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let last = facts.text("channels.last");
    let head = last.map(|channel| format!("Last by {}", channel.replace('_', " ")));
    let counts = facts.all.keys().filter_map(|name| {
        let channel = name.strip_prefix("channels.")?;
        Some((channel, facts.number(name)?))
    });
    lines.shown("Touchpoints", bars(counts, |n| several(n, "time")));
    lines.when("When", facts.when("channels.last_at"));
    lines.into_section("Channels", head)
}

fn context(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let place: Vec<String> = ["context.city", "context.region", "context.country"]
        .iter()
        .filter_map(|name| facts.text(name))
        .collect();
    lines.text("Place", (!place.is_empty()).then(|| place.join(", ")));
    lines.text("Device", facts.text("context.device"));
    lines.text("Locale", facts.text("context.locale"));
    lines.text("Time zone", facts.text("context.timezone"));
    for (label, lead) in [("Came by at first", "first_campaign"), ("Came by last", "campaign")] {
        let parts: Vec<String> = ["", "_source", "_medium"]
            .iter()
            .filter_map(|part| facts.text(&format!("context.{lead}{part}")))
            .collect();
        lines.text(label, (!parts.is_empty()).then(|| parts.join(" · ")));
    }
    lines.when("Subscription runs until", facts.when("subscription.renews"));
    lines.into_section("Circumstances", None)
}

fn events(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let head = facts.number("events.total").map(|n| several(n, "event"));
    lines.when("First seen", facts.when("seen.first"));
    lines.when("Last seen", facts.when("seen.last"));
    let counts = facts.all.keys().filter_map(|name| {
        let event = name.strip_prefix("events.").filter(|event| *event != "total")?;
        Some((event, facts.number(name)?))
    });
    lines.shown("Most frequent", bars(counts, number));
    lines.into_section("Events", head)
}

/// What no section has asked for; what is trimmed has its own place.
fn others(facts: &Facts<'_>) -> Section {
    let mut lines = Lines::default();
    let asked = facts.asked.borrow().clone();
    let mut left: Vec<&String> = facts
        .all
        .iter()
        .filter(|(name, value)| {
            !asked.contains(name.as_str()) && !name.starts_with("trimmed") && !is_nothing(value)
        })
        .map(|(name, _)| name)
        .collect();
    let over = left.len().saturating_sub(MEMBERS_MAX);
    left.truncate(MEMBERS_MAX);
    for name in left {
        lines.text(&clean(name, 60), facts.text(name));
    }
    let over = u64::try_from(over).unwrap_or(u64::MAX);
    lines.text("…", (over > 0).then(|| format!("{} more are not shown", number(over))));
    lines.into_section("Also known", None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(value: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nothing_known_is_nothing_shown() {
        let empty = json!({"cart.items": 0, "cart.lines": [], "orders.count": 0, "orders.categories": {},
            "sessions.count": 0, "forms.open": [], "mails.delivered": 0});
        assert_eq!(of(&facts(empty)), []);
    }

    #[test]
    fn in_words() {
        let known = json!({"cart.items": 3, "cart.value": 49_800, "cart.currency": "EUR",
            "cart.lines": [{"id": "t", "name": "Tent", "price": 16_600, "currency": "EUR", "quantity": 3}],
            "browse.categories": {"Tents": 4, "Stoves": 1}, "browse.Tents": 4, "browse.Stoves": 1,
            "somebody.elses": ["new", "fact"], "trimmed": true, "trimmed.parts": ["cart"]});
        let sections = of(&facts(known));
        let titles: Vec<&str> = sections.iter().map(|section| section.title).collect();
        assert_eq!(titles, ["Cart", "Browsing", "Also known"]);
        assert_eq!(sections[0].head.as_deref(), Some("3 pieces, 498.00 EUR"));
        let Shown::Things(things) = &sections[0].lines[0].shown else { panic!("{sections:?}") };
        assert_eq!(things[0].more, "3 pieces · 166.00 EUR");
        let Shown::Bars(bars) = &sections[1].lines[0].shown else { panic!("{sections:?}") };
        assert_eq!(
            (bars[0].name.as_str(), bars[0].much.as_str(), bars[0].percent),
            ("Tents", "4 views", 100)
        );
        assert_eq!(bars[1].percent, 25);
        assert_eq!(sections[2].lines[0].label, "somebody.elses");
        assert_eq!(sections[2].lines.len(), 1);
    }

    #[test]
    fn many_and_long_ones_are_bounded() {
        let many: BTreeMap<String, Value> =
            (0..10_000).map(|n| (format!("x.{n:05}"), json!("y".repeat(1_000)))).collect();
        let sections = of(&many);
        assert_eq!(sections[0].lines.len(), MEMBERS_MAX + 1);
        assert_eq!(
            sections[0].lines.last().unwrap().shown,
            Shown::Text("9,960 more are not shown".into())
        );
    }
}
