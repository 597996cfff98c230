//! Facts by dotted name: everything but the cart, the orders' sums and what was looked at.

use super::bought::{counted, price_band};
use super::facts::Facts;
use super::money::Currency;
use super::view::ProfileView;
use crate::time::Span;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

fn object(counts: BTreeMap<&str, u64>) -> Map<String, Value> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}

/// The name with the greatest count; of equals the first.
fn greatest<'a>(counts: &BTreeMap<&'a str, u64>) -> Option<&'a str> {
    let most = counts.iter().max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a)));
    most.map(|(name, _)| *name)
}

/// Hundredths as the number they are.
fn hundredths(n: u64) -> Value {
    if n.is_multiple_of(100) {
        return (n / 100).into();
    }
    let text = format!("{}.{:02}", n / 100, n % 100);
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}

impl ProfileView {
    /// What was bought, beside how many orders and for how much: `main` is the currency that
    /// most orders are in, with how many those are and what they come to.
    pub(super) fn purchases(&mut self, facts: &Facts, main: Option<(Currency, u64, u64)>) {
        let orders = &facts.orders;
        if let Some((currency, count, value)) = main {
            if let Some(average) = value.checked_div(count) {
                self.set("orders.average", average);
            }
            let pieces = orders.bought().filter_map(|bought| bought.piece);
            let mut pieces: Vec<u64> =
                pieces.filter(|piece| piece.1 == currency).map(|piece| piece.0).collect();
            if let Some(band) = price_band(&mut pieces, currency) {
                self.set("orders.price_band", band);
            }
        }
        if let (Some(first), Some(last)) = (orders.first, orders.last) {
            self.set("orders.first", first.to_string());
            let days = last.since(first).ms() / Span::DAY.ms();
            if let Some(between) = days.checked_div(orders.placed_in_all().saturating_sub(1)) {
                self.set("orders.days_between", between);
            }
        }
        self.set("orders.categories", object(counted(orders.bought().flat_map(|b| &b.categories))));
        self.set("orders.brands", object(counted(orders.bought().flat_map(|b| &b.brands))));
    }

    /// Everything else that a customer touches.
    pub(super) fn touchpoints(&mut self, facts: &Facts) {
        self.open_cart(facts);
        self.visits(facts);
        self.content(facts);
        self.forms(facts);
        self.support(facts);
        self.mails(facts);
        self.circumstances(facts);
        for (channel, (times, _)) in &facts.channels.0 {
            self.set(format!("channels.{}", channel.name()), *times);
        }
        if let Some((channel, at)) = facts.channels.last() {
            self.set("channels.last", channel.name());
            self.set("channels.last_at", at.to_string());
        }
        let mut trimmed = facts.trimmed();
        trimmed.extend(facts.shortened.names());
        if !trimmed.is_empty() {
            self.set("trimmed.parts", trimmed);
        }
    }

    fn open_cart(&mut self, facts: &Facts) {
        if let Some(since) = facts.cart.since() {
            self.set("cart.since", since.to_string());
        }
        let checkout = facts.cart.open_checkout();
        let items =
            checkout.map_or(0, |_| facts.cart.lines().iter().map(|l| u64::from(l.quantity)).sum());
        self.set("checkout.items", items);
        if let Some(checkout) = checkout {
            self.set("checkout.since", checkout.at.to_string());
        }
    }

    fn visits(&mut self, facts: &Facts) {
        let sessions = &facts.sessions;
        let count = sessions.count();
        self.set("sessions.count", count);
        self.set("sessions.pages", sessions.pages);
        self.set("sessions.seconds", sessions.left.seconds);
        self.set("sessions.hovers", sessions.hovers);
        if let Some(average) = sessions.left.seconds.checked_div(count) {
            self.set("sessions.average_seconds", average);
        }
        if let Some(percent) = sessions.left.percent.checked_div(sessions.left.times) {
            self.set("sessions.scroll_depth", percent);
            self.set("sessions.scroll_deepest", sessions.left.deepest);
        }
        if let Some(last) = sessions.last {
            self.set("sessions.last", last.to_string());
        }
        let categories = sessions.categories();
        if let Some(category) = greatest(&categories) {
            self.set("interest.category", category);
        }
        self.set("interest.categories", object(categories));
        self.set("interest.products", object(sessions.products()));
        if let Some(last) = facts.rhythm.last {
            self.set("activity.last", last.at.to_string());
        }
        self.set("activity.days", facts.rhythm.days());
    }

    fn content(&mut self, facts: &Facts) {
        let content = &facts.content;
        self.set("content.started", content.started);
        self.set("content.completed", content.completed);
        let Some(last) = content.last else { return };
        self.set("content.last", last.to_string());
        let genres = content.genres();
        if let Some(genre) = greatest(&genres) {
            self.set("content.genre", genre);
        }
        self.set("content.genres", object(genres));
        let recent = content.recent.latest_first().into_iter().map(|(id, register)| {
            let video = &register.value;
            let mut fields = Map::new();
            fields.insert("id".to_owned(), id.as_str().into());
            for (name, text) in [("title", &video.title), ("program", &video.program)] {
                if let Some(text) = text {
                    fields.insert(name.to_owned(), text.as_str().into());
                }
            }
            if let Some(percent) = video.percent() {
                fields.insert("percent".to_owned(), percent.into());
            }
            fields.insert("finished".to_owned(), content.is_finished(id).into());
            fields.insert("watched".to_owned(), register.at.at.to_string().into());
            Value::Object(fields)
        });
        let recent: Vec<Value> = recent.collect();
        self.set("content.recent", recent);
    }

    fn forms(&mut self, facts: &Facts) {
        self.set("forms.submitted", facts.forms.submissions);
        let open: Vec<Value> =
            facts.forms.open().into_iter().map(|(form, _)| form.into()).collect();
        self.set("forms.open", open);
    }

    fn support(&mut self, facts: &Facts) {
        let support = &facts.support;
        self.set("support.tickets", support.tickets);
        self.set("support.open", support.open());
        self.set("support.complaints", support.complaints());
        if let Some(about) = support.complaint.as_ref().and_then(|c| c.value.as_deref()) {
            self.set("support.complaint", about);
        }
        if let Some(score) = &support.score {
            self.set("support.score", hundredths(score.value.into()));
        }
        if let Some(mean) = support.scores.and_then(|(times, sum)| sum.checked_div(times)) {
            self.set("support.average_score", hundredths(mean));
        }
    }

    fn mails(&mut self, facts: &Facts) {
        let mails = &facts.mailings;
        let (opened, clicked) = (mails.opened(), mails.clicked());
        for (name, count) in [
            ("delivered", mails.told.delivered),
            ("bounced", mails.told.bounced),
            ("spam", mails.told.spam),
            ("unsubscribed", mails.told.unsubscribed),
            ("opened", opened.by_people),
            ("clicked", clicked.by_people),
            ("by_machines", opened.by_machines + clicked.by_machines + mails.machine()),
        ] {
            self.set(format!("mails.{name}"), count);
        }
        for (name, last) in [("last_opened", opened.last), ("last_clicked", clicked.last)] {
            if let Some(last) = last {
                self.set(format!("mails.{name}"), last.to_string());
            }
        }
    }

    fn circumstances(&mut self, facts: &Facts) {
        let setting = &facts.setting;
        if let Some(device) = &setting.device {
            self.set("context.device", device.value.name());
        }
        if let Some(place) = &setting.place {
            let place = &place.value;
            let parts =
                [("country", &place.country), ("region", &place.region), ("city", &place.city)];
            self.texts(parts);
        }
        if let Some(campaign) = &setting.campaign {
            let campaign = &campaign.value;
            self.texts([
                ("campaign", &campaign.name),
                ("campaign_source", &campaign.source),
                ("campaign_medium", &campaign.medium),
            ]);
        }
        if let Some(first) = &setting.first_campaign {
            let first = &first.value;
            self.texts([
                ("first_campaign", &first.name),
                ("first_campaign_source", &first.source),
                ("first_campaign_medium", &first.medium),
            ]);
        }
        if let Some((renews, _)) = facts.rhythm.renews() {
            self.set("subscription.renews", json!(renews.to_string()));
        }
    }

    fn texts<const N: usize>(&mut self, parts: [(&str, &Option<String>); N]) {
        for (name, text) in parts {
            if let Some(text) = text {
                self.set(format!("context.{name}"), text.as_str());
            }
        }
    }
}
