//! Many events of one customer: over a long time, and all at once.

use super::{Action, Does, Draw};
use crate::sim::people::{Customer, Said};
use odyssey_domain::time::Span;

/// Posts of a crowd, the events of each, and the milliseconds within which they come.
const CROWD: (u64, u64, u64) = (36, 3, 4_000);

impl Draw<'_> {
    /// A long history of one customer, posted twice, so that ids spill out of the profile's item.
    pub(super) fn history(&mut self, customers: &[Customer]) -> Vec<Action> {
        let Some(customer) = customers.first() else { return Vec::new() };
        let begin = self.setup.start.minus(Span::HOUR.times(20));
        let mut actions = Vec::new();
        for part in 0..6_u64 {
            let events: Vec<Said> = (0..190_u64)
                .map(|n| {
                    let at = begin.plus(Span::SECOND.times(part * 190 + n));
                    let mut said = self.said(customer, at, "");
                    said.kind = "page";
                    said.name = None;
                    said.user = Some(customer.user.clone());
                    said.device = None;
                    said
                })
                .collect();
            let at = self.moment();
            let again = self.moment();
            for at in [at, again] {
                let events = events.clone();
                actions.push(Action { at, does: Does::Post { source: "backend", events } });
            }
        }
        actions
    }

    /// One user's programs all report at once, each for itself: deliveries that get in each other's
    /// way at one item.
    pub(super) fn crowd(&mut self, customers: &[Customer]) -> Vec<Action> {
        let Some(customer) = customers.first() else { return Vec::new() };
        let begin = self.moment();
        let (posts, events, ms) = CROWD;
        let mut actions = Vec::new();
        for _ in 0..posts {
            let at = begin.plus(Span::from_ms(self.rng.below(ms)));
            let source = if self.rng.chance(400) { "backend" } else { "web" };
            let events: Vec<Said> = (0..events)
                .map(|n| {
                    let at = at.minus(Span::from_ms(n * 7 + self.rng.below(7)));
                    let mut said = match self.rng.below(4) {
                        0 => self.visit(customer, at),
                        1 => self.with_product(customer, at, "Product Added"),
                        _ => self.with_product(customer, at, "Product Viewed"),
                    };
                    said.user = Some(customer.user.clone());
                    said
                })
                .collect();
            actions.push(Action { at, does: Does::Post { source, events: events.clone() } });
            if self.rng.chance(150) {
                let again = at.plus(Span::from_ms(self.rng.below(ms)));
                actions.push(Action { at: again, does: Does::Post { source, events } });
            }
        }
        actions
    }
}
