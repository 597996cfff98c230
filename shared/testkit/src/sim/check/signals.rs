//! Signals: the checks' own account of when each is due, worked out from the events alone. Whether
//! what is raised has a cause is looked at in `causes`.

use super::Check;
use super::outcomes::silence;
use super::past::Past;
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::profile::Root;
use odyssey_domain::signal::Stage;
use odyssey_domain::time::{Span, Stamp};

/// The thresholds of the workspace.
const DORMANT: Span = Span::HOUR.times(20);
const REGISTRATION: Span = Span::HOUR.times(2);
const ABSENT: Span = Span::HOUR.times(20);
const DECLINING: u64 = 2;
const RENEWAL: Span = Span::HOUR.times(30);
const LAPSED: Span = Span::HOUR.times(30);
const BINGE: u64 = 2;
const INTEREST: u64 = 90;
/// Days with videos, or with lingering, of which each is kept.
const DAYS_KEPT: usize = 14;

/// One profile, at rest.
struct AtRest<'r> {
    key: IdentityKey,
    root: &'r Root,
    past: Past<'r>,
    /// The same with what has left the profile.
    ever: Past<'r>,
    now: Stamp,
}

impl Check {
    /// At rest: every rule has decided on what its customer did.
    pub(super) fn signals_end(&mut self, now: Stamp) {
        for (key, root) in self.profiles.roots() {
            let events: Vec<Event> = self
                .profiles
                .events_of(key)
                .into_iter()
                .map(|(_, folded)| folded.event.clone())
                .collect();
            let gone = self.profiles.events_gone(key, &root);
            let gone: Vec<Event> = gone.into_iter().cloned().collect();
            let ever = Past::of(events.iter().chain(&gone));
            let of = AtRest { key, root: &root, past: Past::of(&events), ever, now };
            self.crossings_decided(&of);
            self.keys_decided(&of);
            self.absence_decided(&of);
            self.abandonments_decided(&of);
            self.others_decided(&of);
            self.stage_reached(&of);
        }
    }

    fn crossings_decided(&mut self, of: &AtRest<'_>) {
        let AtRest { key, root, past, ever, .. } = of;
        let counts = |past: &Past<'_>| {
            let (orders, complaints) = (past.orders().len(), past.complaints().len());
            [orders.min(1), orders, complaints, past.leads().len()].map(|count| count as u64)
        };
        let rules = [
            ("First Purchase/1", 1),
            ("Repeat Purchase/2", 2),
            ("Complaint Received/1", 1),
            ("Lead Submitted/1", 1),
        ];
        let reached = counts(past).into_iter().zip(counts(ever));
        for ((rule, least), (reached, ever)) in rules.into_iter().zip(reached) {
            if reached < least {
                continue;
            }
            let held = root.said.crossed.get(rule).map_or(0, |crossed| crossed.number);
            // A split takes events away, and an earlier claim does, and not what was said of them.
            let parted = !self.profiles.was_never_parted(*key);
            let decided = held == reached || (held > reached && (parted || held <= ever));
            self.holds("crossings-decided", decided, || {
                format!("{key} has reached {reached} by {rule}, decided on were {held}")
            });
        }
    }

    /// What is told apart by day: of more days than are kept, nobody can say.
    fn keys_decided(&mut self, of: &AtRest<'_>) {
        let AtRest { key, root, past, .. } = of;
        let watched = past.watched();
        let binges = watched.iter().filter(|(_, videos)| **videos >= BINGE);
        let binges: Vec<String> = binges.map(|(day, _)| day.to_string()).collect();
        let lingered = past.lingered();
        let interests = lingered.iter().filter(|(_, (seconds, _))| *seconds >= INTEREST);
        let interests = interests.map(|((week, category), _)| format!("{week}#{category}"));
        for (rule, days, reached) in [
            ("Binge Started/2", watched.len(), binges),
            ("Interest Shown/90", past.lingering_days(), interests.collect()),
        ] {
            if days > DAYS_KEPT {
                continue;
            }
            let held = root.said.crossed.get(rule).map(|crossed| &crossed.keys);
            for one in reached {
                let decided = held.is_some_and(|held| held.contains(&one));
                self.holds("crossings-decided", decided, || {
                    format!("{key} has reached {one} by {rule}, and that is undecided")
                });
            }
        }
    }

    fn decided(&mut self, of: &AtRest<'_>, rule: &str, last: Position) {
        let AtRest { key, root, .. } = of;
        let mark = root.said.marks.get(rule);
        let decided = mark.is_some_and(|mark| mark.episode >= last || mark.at >= last.at);
        self.holds("silences-decided", decided, || {
            format!("{key} did the last thing that {rule} asks for at {}: undecided", last.at)
        });
    }

    /// Somebody who has not been here since.
    fn absence_decided(&mut self, of: &AtRest<'_>) {
        let AtRest { past, now, .. } = of;
        let Some(last) = past.last_deed() else { return };
        let acquainted = past.days().len() >= 2 || past.has("Order Completed");
        if acquainted && last.at.plus(DORMANT) < *now {
            self.decided(of, "Became Dormant/20h", last);
        }
        if last.at.plus(ABSENT) < *now {
            self.decided(of, "Back After Absence/20h", last);
        }
        let usual = past.usual_gap();
        if usual.is_some_and(|usual| last.at.plus(usual.times(DECLINING)) < *now) {
            self.decided(of, "Engagement Declining/2", last);
        }
    }

    /// Something is in the cart, or was looked at without one, and nothing was done since.
    fn abandonments_decided(&mut self, of: &AtRest<'_>) {
        let AtRest { past, now, .. } = of;
        let rules = ["Cart Abandoned/4h", "Checkout Abandoned/2h", "Browse Abandoned/2h"];
        for rule in rules {
            let Some((last, over)) = silence(past, rule) else { continue };
            // What is looked at and then put into the cart is no visit without one.
            let at_cart = past.at_the_cart().filter(|_| rule.starts_with("Browse"));
            if over < *now && at_cart.is_none_or(|at_cart| at_cart.at < last.at) {
                self.decided(of, rule, last);
            }
        }
    }

    fn others_decided(&mut self, of: &AtRest<'_>) {
        let AtRest { past, now, .. } = of;
        if let Some(left) = past.open_registration().filter(|l| l.at.plus(REGISTRATION) < *now) {
            self.decided(of, "Registration Abandoned/2h", left);
        }
        // A date that had passed when it was said comes no more.
        let renews = past.renews().filter(|(renews, said)| *renews > said.at);
        if let Some((_, said)) = renews.filter(|(renews, _)| renews.minus(RENEWAL) < *now) {
            self.decided(of, "Renewal Due/30h", said);
        }
    }

    /// At rest every customer has lapsed, and nobody else has.
    fn stage_reached(&mut self, of: &AtRest<'_>) {
        let AtRest { key, root, past, now, .. } = of;
        let Some(mark) = root.said.stages.get("Stage Changed/6h") else {
            // Written last before its events came, or by links alone.
            return;
        };
        let silent = past.last_deed().is_some_and(|last| last.at.plus(LAPSED) < *now);
        let expected = match (past.purchases().is_empty(), past.is_known()) {
            (false, _) if silent => Stage::Lapsed,
            (false, _) => return,
            (true, true) => Stage::Lead,
            (true, false) => Stage::Visitor,
        };
        let found = mark.stage;
        self.holds("stage-reached", found == expected, || {
            format!("{key} stands at {}, its events make it {}", found.name(), expected.name())
        });
    }
}
