//! Visits: what customers do over several posts and that a signal speaks of: a form started and left,
//! videos in a row, lingering on a category, a subscription that is about to renew, coming back.

use super::{Action, Does, Draw};
use crate::sim::people::{Customer, Said};
use odyssey_domain::time::{Span, Stamp};
use serde_json::{Map, Value, json};

/// Forms: two that register somebody, one that does not, and one that is a search.
const FORMS: [&str; 4] = ["newsletter-signup", "trial-start", "contact", "site-search"];
/// Categories that are lingered on.
const CATEGORIES: [&str; 2] = ["wool", "linen"];

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Draw<'_> {
    /// One of the events by themselves, as any other may come.
    pub(super) fn visit(&mut self, customer: &Customer, at: Stamp) -> Said {
        match self.rng.below(6) {
            0 => self.form(customer, at, "Form Started"),
            1 => self.form(customer, at, "Form Submitted"),
            2 => self.video(customer, at),
            3 => self.lingering(customer, at),
            4 => self.subscription(customer, at),
            _ => {
                let names = [
                    "Form Abandoned",
                    "Subscription Cancelled",
                    "Trial Ended",
                    "Subscription Renewed",
                ];
                match self.rng.pick(&names).unwrap_or("Trial Ended") {
                    "Form Abandoned" => self.form(customer, at, "Form Abandoned"),
                    name => self.dated(customer, at, name),
                }
            }
        }
    }

    /// A few of them that belong together, in posts of their own.
    pub(super) fn visits(&mut self, customers: &[Customer]) -> Vec<Action> {
        let begin = self.moment();
        let Some(customer) = self.rng.pick(customers) else { return Vec::new() };
        let minutes = |n| Span::MINUTE.times(n);
        let mut posts: Vec<Vec<Said>> = Vec::new();
        // Absences are noted while time goes by: there is none in an hour.
        let kinds = if self.setup.lasts >= Span::HOUR.times(30) { 5 } else { 4 };
        match self.rng.below(kinds) {
            0 => {
                let started = self.form(&customer, begin, "Form Started");
                let form = started.properties.clone();
                posts.push(vec![started]);
                let then = begin.plus(minutes(self.rng.between(1, 200)));
                let name = self.rng.pick(&["Form Submitted", "Form Abandoned", "Signed Up"]);
                if let Some(name) = name.filter(|_| self.rng.chance(500)) {
                    let mut said = self.said(&customer, then, name);
                    said.properties = form;
                    posts.push(vec![said]);
                }
            }
            1 => {
                let many = self.rng.between(2, 3);
                let at = |n| begin.plus(minutes(n * 25));
                let videos = (0..many).map(|n| self.video(&customer, at(n))).collect();
                posts.push(videos);
            }
            2 => {
                let gap = self.rng.pick(&[20, 300, 2_000]).unwrap_or(20);
                posts.push(vec![self.lingering(&customer, begin)]);
                posts.push(vec![self.lingering(&customer, begin.plus(minutes(gap)))]);
            }
            3 => {
                posts.push(vec![self.subscription(&customer, begin)]);
                if self.rng.chance(400) {
                    let then = begin.plus(minutes(self.rng.between(5, 3_000)));
                    posts.push(vec![self.visit(&customer, then)]);
                }
            }
            _ => {
                let mut at = begin;
                for _ in 0..self.rng.between(2, 5) {
                    let mut said = self.said(&customer, at, "");
                    said.kind = "page";
                    said.name = None;
                    posts.push(vec![said]);
                    at = at.plus(minutes(self.rng.between(21 * 60, 40 * 60)));
                }
            }
        }
        posts.into_iter().flat_map(|post| self.brought(&customer, post)).collect()
    }

    /// Posts what belongs together: a moment later as a rule, or hours; now and then again.
    fn brought(&mut self, customer: &Customer, mut events: Vec<Said>) -> Vec<Action> {
        let source = if self.rng.chance(300) { "backend" } else { "web" };
        for said in &mut events {
            self.name(said, customer, source);
        }
        let Some(last) = events.iter().map(|said| said.at).max() else { return Vec::new() };
        let late = match self.rng.below(12) {
            0 => self.rng.between(600_000, 30 * 3_600_000),
            _ => self.rng.below(4_000),
        };
        let end = self.setup.start.plus(self.setup.lasts);
        let at = last.plus(Span::from_ms(late));
        let mut times = vec![at.min(end.max(last))];
        if self.rng.chance(60) {
            times.push(self.moment().max(at));
        }
        let post = |at| {
            let does = Does::Post { source, events: events.clone() };
            Action { at, does }
        };
        times.into_iter().map(post).collect()
    }

    fn form(&mut self, customer: &Customer, at: Stamp, name: &'static str) -> Said {
        let mut said = self.said(customer, at, name);
        let form = self.rng.pick(&FORMS).unwrap_or("contact");
        said.properties = object(json!({"form": form, "path": "/", "fields": 2, "seconds": 9}));
        said
    }

    fn video(&mut self, customer: &Customer, at: Stamp) -> Said {
        let mut said = self.said(customer, at, "Video Content Started");
        let asset = format!("v-{}", self.rng.below(3));
        said.properties = object(json!({"content_asset_id": asset, "title": "Knots"}));
        said
    }

    fn lingering(&mut self, customer: &Customer, at: Stamp) -> Said {
        let mut said = self.said(customer, at, "Page Left");
        let category = self.rng.pick(&CATEGORIES).unwrap_or("wool");
        let seconds = self.rng.between(20, 100);
        let dwell = json!([{"category": category, "seconds": seconds, "hovers": 1}]);
        said.properties = object(json!({"seconds": seconds, "scroll_depth": 40, "dwell": dwell}));
        said
    }

    fn subscription(&mut self, customer: &Customer, at: Stamp) -> Said {
        let name = self.rng.pick(&["Subscription Started", "Trial Started"]);
        self.dated(customer, at, name.unwrap_or("Trial Started"))
    }

    /// An event about a subscription, as a rule with the date until which it runs.
    fn dated(&mut self, customer: &Customer, at: Stamp, name: &'static str) -> Said {
        let mut said = self.said(customer, at, name);
        let hours = self.rng.pick(&[0, 20, 40, 100]).unwrap_or(40);
        let until = at.plus(Span::HOUR.times(hours));
        if self.rng.chance(850) {
            said.properties = object(json!({"renews_at": until.to_string()}));
        }
        // Some are told of more than once, and some tellers do not say of which.
        if hours != 40 {
            let id = format!("s-{}-{hours}", customer.number);
            said.properties.insert("subscription_id".to_owned(), id.into());
        }
        said
    }
}
