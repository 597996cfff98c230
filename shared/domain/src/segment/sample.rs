//! What a predicate says of a sample of profiles, for who is about to publish it.

use super::Segment;
use crate::profile::ProfileView;
use crate::time::Stamp;

/// How one leaf answered over a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafCount {
    /// The leaf, readable.
    pub asked: String,
    /// Profiles for which it held.
    pub held: u32,
    /// Profiles that are out and would be in if this leaf alone answered otherwise.
    pub alone: u32,
}

/// A sample of profiles, asked one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'s> {
    segment: &'s Segment,
    /// Profiles that were asked.
    pub profiles: u32,
    /// Those that are in the segment.
    pub members: u32,
    /// Those that lack something of what it asks for until a back-fill: they were counted as they
    /// answered.
    pub unknown: u32,
    /// Its leaves, in the order in which they are asked.
    pub leaves: Vec<LeafCount>,
}

/// The normal distribution's quantile of a two-sided 95 %.
const Z: f64 = 1.96;

impl<'s> Sample<'s> {
    /// One in which nobody was asked yet.
    #[must_use]
    pub const fn of(segment: &'s Segment) -> Sample<'s> {
        Sample { segment, profiles: 0, members: 0, unknown: 0, leaves: Vec::new() }
    }

    /// Asks a profile. Says whether it is in the segment.
    pub fn ask(&mut self, view: &ProfileView, now: Stamp) -> bool {
        let (held, answers) = self.segment.holds(view, now);
        if self.leaves.is_empty() {
            let leaf = |asked: &str| LeafCount { asked: asked.to_owned(), held: 0, alone: 0 };
            self.leaves = answers.iter().map(|answer| leaf(&answer.asked)).collect();
        }
        self.profiles = self.profiles.saturating_add(1);
        self.members = self.members.saturating_add(u32::from(held));
        let mut given: Vec<bool> = answers.iter().map(|answer| answer.held).collect();
        for (at, leaf) in self.leaves.iter_mut().enumerate() {
            let Some(answer) = given.get(at).copied() else { continue };
            leaf.held = leaf.held.saturating_add(u32::from(answer));
            if !held {
                flip(&mut given, at);
                leaf.alone =
                    leaf.alone.saturating_add(u32::from(self.segment.when.held_by(&given)));
                flip(&mut given, at);
            }
        }
        held
    }

    /// The share of members and the bounds between which it lies with 95 % confidence, each from 0
    /// to 1 (Wilson's score interval, which holds for few members too). None before anybody was
    /// asked.
    #[must_use]
    pub fn share(&self) -> Option<(f64, f64, f64)> {
        if self.profiles == 0 {
            return None;
        }
        let n = f64::from(self.profiles);
        let share = f64::from(self.members) / n;
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some((share, (middle - half).max(0.0), (middle + half).min(1.0)))
    }

    /// The leaf that by itself keeps most profiles out.
    #[must_use]
    pub fn keeps_out(&self) -> Option<&LeafCount> {
        let most = self.leaves.iter().max_by_key(|leaf| leaf.alone)?;
        (most.alone > 0).then_some(most)
    }
}

fn flip(answers: &mut [bool], at: usize) {
    if let Some(answer) = answers.get_mut(at) {
        *answer = !*answer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProfileId;
    use serde_json::json;

    fn segment() -> Segment {
        let when = serde_json::from_value(json!({"all": [
            {"fact": {"name": "orders.count", "is": {"at_least": 2}}},
            {"not": {"fact": {"name": "support.complaints", "is": {"at_least": 1}}}},
            {"any": [{"trait": {"name": "plan", "is": {"equals": "gold"}}},
                     {"fact": {"name": "orders.value", "is": {"at_least": 100}}}]},
        ]}));
        Segment {
            title: "T".to_owned(),
            when: when.unwrap(),
            since: Stamp::MIN,
            watched: Stamp::MIN,
        }
    }

    fn view(orders: u64, complaints: u64, value: u64) -> ProfileView {
        let mut view = ProfileView::empty(ProfileId::from_bytes([1; 16]));
        view.facts.insert("orders.count".to_owned(), orders.into());
        view.facts.insert("support.complaints".to_owned(), complaints.into());
        view.facts.insert("orders.value".to_owned(), value.into());
        view
    }

    #[test]
    fn what_keeps_people_out_is_counted() {
        let segment = segment();
        let mut sample = Sample::of(&segment);
        assert_eq!((sample.share(), sample.keeps_out()), (None, None));
        for (orders, complaints, value) in [(2, 0, 100), (2, 1, 100), (1, 0, 100), (1, 0, 200)] {
            sample.ask(&view(orders, complaints, value), Stamp::MIN);
        }
        assert!(!sample.ask(&view(0, 3, 0), Stamp::MIN));
        assert_eq!((sample.profiles, sample.members), (5, 1));
        let counts: Vec<(u32, u32)> = sample.leaves.iter().map(|l| (l.held, l.alone)).collect();
        assert_eq!(counts, [(2, 2), (2, 1), (0, 0), (4, 0)]);
        assert_eq!(sample.keeps_out().unwrap().asked, "orders.count at least 2");
    }

    #[test]
    fn the_error_bar_holds_for_few() {
        let segment = segment();
        let mut sample = Sample::of(&segment);
        for n in 0..100 {
            sample.ask(&view(if n < 10 { 2 } else { 0 }, 0, 100), Stamp::MIN);
        }
        // Wilson (1927) for 10 of 100, as statistics packages print it.
        let (share, low, high) = sample.share().unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 0.000_5;
        assert!(near(share, 0.1) && near(low, 0.0552) && near(high, 0.1744), "{low} {high}");
        let mut none = Sample::of(&segment);
        none.ask(&view(0, 0, 0), Stamp::MIN);
        let (share, low, high) = none.share().unwrap();
        assert!(near(share, 0.0) && near(low, 0.0) && near(high, 0.7935), "{low} {high}");
    }
}
