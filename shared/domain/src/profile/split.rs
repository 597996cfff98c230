//! Splits: an identifier becomes a profile of its own again, because an operator says so.
//!
//! The accumulator moves as it is, so each side has what it had. What was said stays with the
//! profile that said it; of its decisions the identifier takes along those on its own deeds, so that
//! nothing is said twice about one deed, and a silence that was hidden behind the other's deeds is
//! still noticed.

use super::{ProfileEffect, Root, SPLITS_MAX};
use crate::ids::{IdentityKey, ProfileId};
use crate::signal::{self, SignalRule};
use crate::time::{Span, Stamp};
use std::collections::BTreeMap;

/// Both sides of a split are looked at so long after it.
pub const LOOK_AFTER: Span = Span::MINUTE;

/// Why an identifier cannot be split off a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSplit {
    /// It is none of the profile's linked identifiers.
    #[error("it is not linked to that profile")]
    NotLinked,
    /// Its accumulator is part of the profile's own.
    #[error(
        "its link is final: idle for 30 days, what it did was merged into the profile's own facts, and nothing tells the two apart any more"
    )]
    Final,
    /// The profile remembers no more splits.
    #[error("the profile remembers {SPLITS_MAX} splits already, and can remember no more")]
    TooMany,
}

impl Root {
    /// Splits an identifier off: returns the root that it is from now on. No claim links the two
    /// again. Both sides are to be looked at anew [`LOOK_AFTER`] from now, for their silences and
    /// segments, and for what waits here to be carried out: a redelivery may lead to the other side
    /// now. `said.arm` and `said.due` of both say how, and whoever writes them arms them.
    ///
    /// # Errors
    /// Where it is not linked, its link is final, or the profile has been split too often.
    pub fn split_off(
        &mut self,
        identity: IdentityKey,
        rules: &[SignalRule],
        now: Stamp,
    ) -> Result<Root, NoSplit> {
        let link = self.links.get(&identity).ok_or(NoSplit::NotLinked)?;
        if link.is_final() || !self.accumulators.contains_key(&identity) {
            return Err(NoSplit::Final);
        }
        if self.split.len() >= SPLITS_MAX {
            return Err(NoSplit::TooMany);
        }
        let kind = link.kind.clone();
        let moved = self.release(identity);
        self.split.insert(identity, now);
        let mut root = Root { kind: (!kind.is_anonymous()).then_some(kind), ..Root::default() };
        // Nothing of it has been decided on segments: what it is found in is entered in silence, since
        // the deeds that it is decided on are old ones.
        root.said = moved.said;
        root.accumulators.insert(identity, moved.accumulator);
        let facts = root.facts().into_owned();
        root.said.asked = self.said.asked.clone();
        root.said.marks = signal::own_marks(&facts, &self.said.marks, rules);
        // What the identifier's own facts have reached was said of the profile that it was part of.
        let (marks, crossed) = (BTreeMap::new(), BTreeMap::new());
        let profile = ProfileId::from(identity);
        root.said.crossed = signal::cross(&facts, &marks, &crossed, profile, rules, now).crossed;
        root.said.stages = signal::own_stages(&facts, &self.said.stages, profile, rules, now);
        for side in [&mut root, self] {
            // What waits there stands for earlier writes, and their armings are made with this one.
            let mut waiting = std::mem::take(&mut side.said.pending);
            waiting.retain(|effect| !matches!(effect, ProfileEffect::Arm { .. }));
            side.arm_by(now.plus(LOOK_AFTER));
            side.said.pending = waiting;
        }
        Ok(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdKind;
    use crate::ids::{EventHash, Position};
    use crate::profile::{Accumulator, Link, Moved, Origin, Said, Watched, Woken};
    use crate::signal::{SignalKind, Stage, Stages, Threshold};
    use crate::time::Span;
    use crate::wire::{SourceKind, SourceRef};
    use serde_json::json;

    const OWN: IdentityKey = IdentityKey::from_bytes([1; 16]);
    const OTHER: IdentityKey = IdentityKey::from_bytes([2; 16]);

    fn minute(n: u64) -> Stamp {
        Stamp::from_ms(1_700_000_000_000).plus(Span::MINUTE.times(n))
    }

    fn rules() -> Vec<SignalRule> {
        vec![SignalRule::new(
            SignalKind::CartAbandoned,
            &[Threshold::After(Span::MINUTE.times(10))],
        )]
    }

    fn add(accumulator: &mut Accumulator, at: u64, name: &str) {
        let event = serde_json::from_value(json!({"id": format!("{name}{at}"), "at": minute(at),
            "type": "track", "name": name, "properties": {"product_id": at, "order_id": at}}));
        let source = SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
        accumulator.fold(&event.unwrap(), &source, &Watched::default());
    }

    /// A root with a cart at each of its minutes, its own and a linked one's.
    fn root(own: &[u64], other: &[u64]) -> Root {
        let mut root = Root::default();
        let claim = Position { at: minute(0), id: EventHash([0; 8]) };
        let said = Said { arm: 7, ..Said::default() };
        let mut moved =
            Moved { origin: Origin::Profile, accumulator: Accumulator::default(), said };
        for at in other {
            add(&mut moved.accumulator, *at, "Product Added");
        }
        root.adopt(OTHER, moved, Link::new(IdKind::Email, claim));
        let held = root.accumulators.entry(OWN).or_default();
        for at in own {
            add(held, *at, "Product Added");
        }
        root
    }

    #[test]
    fn each_side_has_what_it_had() {
        let before = root(&[1, 2], &[3]);
        let mut left = before.clone();
        let split = left.split_off(OTHER, &rules(), minute(5)).unwrap();
        assert_eq!(split.accumulators[&OTHER], before.accumulators[&OTHER]);
        assert_eq!(left.accumulators[&OWN], before.accumulators[&OWN]);
        assert_eq!((split.accumulators.len(), left.accumulators.len()), (1, 1));
        assert_eq!(split.kind, Some(IdKind::Email));
        assert!(left.links.is_empty() && left.split.contains_key(&OTHER));
        // No number of its timer is used twice.
        assert_eq!(split.said.arm, 8);
        assert_eq!((split.said.due, left.said.due), (Some(minute(6)), Some(minute(6))));
        assert!(split.said.pending.is_empty() && left.said.pending.is_empty());
        assert_eq!(left.split_off(OTHER, &rules(), minute(6)).unwrap_err(), NoSplit::NotLinked);
    }

    #[test]
    fn a_silence_behind_the_others_deeds_is_noticed_and_none_is_said_twice() {
        for (own, other, said) in [
            // The last deed was the user's own: it hid the other's silence.
            (4, 3, 1),
            // The last deed was the other's, and it was said.
            (3, 4, 0),
        ] {
            let mut root = root(&[own], &[other]);
            root.rearm(&rules(), minute(4));
            let arm = root.said.arm;
            assert_eq!(root.wake(OWN.into(), arm, &rules(), minute(30)), Woken::Decided);
            assert_eq!(raised(&root), 1);
            let mut split = root.split_off(OTHER, &rules(), minute(60)).unwrap();
            assert_eq!(raised(&root), 1, "what waits to be carried out still does");
            for (side, key, said) in [(&mut split, OTHER, said), (&mut root, OWN, 0)] {
                side.said.pending.clear();
                let arm = side.said.arm;
                let woken = side.wake(key.into(), arm, &rules(), minute(61));
                assert_eq!((woken, raised(side)), (Woken::Decided, said), "{own} {other}");
            }
        }
    }

    /// Stages of minutes: at risk after ten, dormant after twenty, lapsed after thirty.
    fn quick_stages() -> [SignalRule; 1] {
        let stages = Stages {
            dormant: Span::MINUTE.times(20),
            lapsed: Span::MINUTE.times(30),
            ..Stages::default()
        };
        let at_risk = Threshold::After(Span::MINUTE.times(10));
        [SignalRule {
            stages: Some(stages),
            ..SignalRule::new(SignalKind::StageChanged, &[at_risk])
        }]
    }

    /// Arms the next timer as of a minute, and has it fire at its time.
    fn next_wake(root: &mut Root, rules: &[SignalRule], at: u64) -> Woken {
        root.said.pending.clear();
        root.rearm(rules, minute(at));
        let (arm, due) = (root.said.arm, root.said.due.unwrap());
        root.wake(OWN.into(), arm, rules, due)
    }

    /// The customer fell silent, came back under the other id and fell silent again; without that
    /// id they never came back. The other id's own silence was said of the customer it was part of.
    #[test]
    fn a_return_that_was_anothers_is_none() {
        let rules = quick_stages();
        let wake = |root: &mut Root, at| next_wake(root, &rules, at);
        let stage = |root: &Root| root.said.stages.values().next().map(|mark| mark.stage);
        let mut root = root(&[], &[]);
        add(root.accumulators.get_mut(&OWN).unwrap(), 1, "Order Completed");
        root.cross(OWN.into(), &rules, minute(1));
        assert_eq!(wake(&mut root, 45), Woken::Decided);
        assert_eq!(stage(&root), Some(Stage::Lapsed));
        add(root.accumulators.get_mut(&OTHER).unwrap(), 50, "Order Completed");
        root.cross(OWN.into(), &rules, minute(50));
        assert_eq!(wake(&mut root, 62), Woken::Decided);
        assert_eq!(stage(&root), Some(Stage::AtRisk));
        root.said.pending.clear();
        let mut split = root.split_off(OTHER, &rules, minute(63)).unwrap();
        let arm = root.said.arm;
        assert_eq!(root.wake(OWN.into(), arm, &rules, minute(64)), Woken::Decided);
        let arm = split.said.arm;
        assert_eq!(split.wake(OTHER.into(), arm, &rules, minute(64)), Woken::Decided);
        assert_eq!((stage(&root), stage(&split)), (Some(Stage::Lapsed), Some(Stage::AtRisk)));
        assert_eq!((raised(&root), raised(&split)), (0, 0), "it was said before");
        assert_eq!(wake(&mut split, 71), Woken::Decided);
        let dormant = (Some(Stage::Dormant), 1);
        assert_eq!((stage(&split), raised(&split)), dormant);
    }

    /// An earlier claim takes the return away, and with it what ended the silence. Its end is said
    /// again when there is one, under the id that it had: nobody enters a journey twice by it.
    #[test]
    fn a_silence_whose_end_was_anothers_ends_again_under_the_same_id() {
        let rules = quick_stages();
        let silence = |root: &mut Root, at| {
            assert_eq!(next_wake(root, &rules, at), Woken::Decided);
            assert_eq!(root.said.stages.values().next().unwrap().stage, Stage::Lapsed);
            raised(root)
        };
        let back = |root: &mut Root, key: IdentityKey, at| {
            root.said.pending.clear();
            add(root.accumulators.get_mut(&key).unwrap(), at, "Product Viewed");
            root.cross(OWN.into(), &rules, minute(at));
            let ids = root.said.pending.iter().filter_map(|effect| match effect {
                ProfileEffect::Raise(raise) => Some(raise.id),
                _ => None,
            });
            ids.collect::<Vec<_>>()
        };
        let mut root = root(&[], &[]);
        add(root.accumulators.get_mut(&OWN).unwrap(), 1, "Order Completed");
        root.cross(OWN.into(), &rules, minute(1));
        assert_eq!(silence(&mut root, 45), 3);
        let first = back(&mut root, OTHER, 50);
        assert_eq!(first.len(), 1);
        root.release(OTHER);
        assert_eq!(silence(&mut root, 51), 0, "it was said before");
        assert_eq!(back(&mut root, OWN, 90), first);
    }

    /// The orders were the other's: without it nobody bought anything, and whoever then buys is no
    /// longer told of as new.
    #[test]
    fn a_stage_that_was_anothers_is_given_back() {
        let rules = [SignalRule::new(SignalKind::StageChanged, &[Threshold::After(Span::DAY)])];
        let stage = |root: &Root| root.said.stages.values().next().map(|mark| mark.stage);
        let mut root = root(&[1], &[]);
        for at in [2, 3] {
            add(root.accumulators.get_mut(&OTHER).unwrap(), at, "Order Completed");
        }
        root.cross(OWN.into(), &rules, minute(4));
        assert_eq!(stage(&root), Some(Stage::Active));
        let split = root.split_off(OTHER, &rules, minute(5)).unwrap();
        root.said.pending.clear();
        let arm = root.said.arm;
        assert_eq!(root.wake(OWN.into(), arm, &rules, minute(6)), Woken::Decided);
        assert_eq!((stage(&root), stage(&split)), (Some(Stage::Visitor), Some(Stage::Active)));
        for (at, expected) in [(7, Stage::New), (8, Stage::Active)] {
            add(root.accumulators.get_mut(&OWN).unwrap(), at, "Order Completed");
            root.cross(OWN.into(), &rules, minute(at));
            assert_eq!((stage(&root), raised(&root)), (Some(expected), 0), "it was said before");
        }
        add(root.accumulators.get_mut(&OWN).unwrap(), 9, "Order Completed");
        root.cross(OWN.into(), &rules, minute(9));
        assert_eq!((stage(&root), raised(&root)), (Some(Stage::Loyal), 1));
    }

    fn raised(root: &Root) -> usize {
        let is = |effect: &&ProfileEffect| matches!(effect, ProfileEffect::Raise(_));
        root.said.pending.iter().filter(is).count()
    }

    #[test]
    fn what_is_final_stays() {
        let mut root = root(&[1], &[2]);
        let late = minute(0).plus(Span::DAY.times(60));
        for n in 3..17 {
            let claim = Position { at: late, id: EventHash([0; 8]) };
            let key = IdentityKey::from_bytes([n; 16]);
            root.adopt(key, Moved::default(), Link::new(IdKind::Email, claim));
        }
        assert_eq!(root.make_room(OWN, &IdKind::Email, late), Ok(vec![OTHER]));
        assert_eq!(root.split_off(OTHER, &[], late).unwrap_err(), NoSplit::Final);
        for n in 100_u8.. {
            if root.split.len() == SPLITS_MAX {
                break;
            }
            root.split.insert(IdentityKey::from_bytes([n; 16]), late);
        }
        let third = IdentityKey::from_bytes([3; 16]);
        assert_eq!(root.split_off(third, &[], late).unwrap_err(), NoSplit::TooMany);
    }
}
