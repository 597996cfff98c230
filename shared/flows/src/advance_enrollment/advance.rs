//! One record: which slots it touches, and the write of each.

use super::effects::{Effects, carry_out};
use super::{ATTEMPTS_MAX, AdvanceError, Request, Work, slots};
use crate::catalog::CatalogCache;
use crate::ports::{Consistency, Queues, Tables, Written};
use crate::profiles::load_view;
use crate::stored::Versioned;
use futures_util::future::{join, join_all};
use odyssey_domain::catalog::{Catalog, JourneyState};
use odyssey_domain::ids::{ContentHash, EnrollmentKeyHash, IdentityKey, ProfileId};
use odyssey_domain::journey::{
    Application, Ending, Enrollment, Entry, Input, Journey, JourneyEffect, Occasion, Plan, SlotId,
    Transition, enter, erase, park, step,
};
use odyssey_domain::profile::{ACCUMULATORS_MAX, ProfileView};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{EventFolded, Owner, SignalRaised, Wake};
use std::sync::Arc;

type Slot = Versioned<Enrollment>;

/// What every record of a batch is dealt with by.
pub(super) struct Advance<'a, T, Q> {
    pub(super) tables: &'a T,
    pub(super) queues: &'a Q,
    pub(super) cache: &'a CatalogCache,
    pub(super) catalog: &'a Catalog,
    pub(super) now: Stamp,
}

impl<T: Tables, Q: Queues> Advance<'_, T, Q> {
    /// `again` says that the record was delivered before, so that its effects may be missing.
    pub(super) async fn deal_with(&self, request: Request, again: bool) -> Work {
        let mut work = Work::default();
        let result = match request {
            Request::Folded(folded, _) => self.folded(*folded, again, &mut work).await,
            Request::Raised(raised, _) => self.raised(*raised, again, &mut work).await,
            Request::Woken(wake, _) => self.woken(wake, again, &mut work).await,
        };
        work.note(result);
        work
    }

    async fn view(&self, profile: ProfileId) -> Result<Option<ProfileView>, AdvanceError> {
        Ok(load_view(self.tables, profile, &self.catalog.computed_traits, self.now).await?)
    }

    async fn folded(
        &self,
        folded: EventFolded,
        again: bool,
        work: &mut Work,
    ) -> Result<(), AdvanceError> {
        let owners = owners(folded.profile, &folded.owners);
        let queries = owners.iter().map(|owner| slots::load_all(self.tables, *owner));
        // A process that has no journeys yet reads them and the slots at once.
        let (triggered, slots) =
            join(self.live(|journey| journey.trigger.is_event(&folded.event)), join_all(queries))
                .await;
        let triggered = triggered?;
        let mut found: Vec<Slot> = Vec::new();
        for owned in slots {
            for slot in owned? {
                match slot {
                    Ok(slot) => found.push(slot),
                    Err(error) => work.note(Err(error)),
                }
            }
        }
        let is_touched =
            |slot: &Slot| slot.item.ended.is_none() || (again && !slot.item.pending.is_empty());
        if triggered.is_empty() && !found.iter().any(is_touched) {
            return Ok(());
        }
        let view = self.view(folded.profile).await?;
        for slot in found.iter().filter(|slot| is_touched(slot)) {
            let moved = self.advance(slot.clone(), view.as_ref(), Input::Hint, again, work).await;
            work.note(moved);
        }
        let Some(view) = view else {
            return Ok(());
        };
        let occasion = Occasion::of_event(&folded.event);
        for (version, plan) in &triggered {
            let entered = self.enter(*version, plan, &occasion, &view, &owners, work).await;
            work.note(entered);
        }
        Ok(())
    }

    async fn raised(
        &self,
        raised: SignalRaised,
        again: bool,
        work: &mut Work,
    ) -> Result<(), AdvanceError> {
        if again {
            self.repeat_entered(&raised, work).await?;
        }
        let triggered = self.live(|journey| journey.trigger.is_signal(&raised)).await?;
        if triggered.is_empty() {
            return Ok(());
        }
        let Some(view) = self.view(raised.profile).await? else {
            return Ok(());
        };
        let owners = owners(raised.profile, &raised.owners);
        let occasion = Occasion::of_signal(&raised);
        for (version, plan) in &triggered {
            let entered = self.enter(*version, plan, &occasion, &view, &owners, work).await;
            work.note(entered);
        }
        Ok(())
    }

    /// Carries out what was stored by letting somebody in on this very signal. Its journey need not
    /// be live any more: those who are inside go on.
    async fn repeat_entered(
        &self,
        raised: &SignalRaised,
        work: &mut Work,
    ) -> Result<(), AdvanceError> {
        let id = raised.id.to_string();
        for owner in owners(raised.profile, &raised.owners) {
            for slot in slots::load_all(self.tables, owner).await? {
                match slot {
                    Ok(slot) if slot.item.why.trigger_id == id => {
                        work.effects.add(&slot.item, &slot.item.pending)?;
                    }
                    Ok(_) => {}
                    Err(error) => work.note(Err(error)),
                }
            }
        }
        Ok(())
    }

    async fn woken(&self, wake: Wake, again: bool, work: &mut Work) -> Result<(), AdvanceError> {
        let Owner::Enrollment(id) = &wake.owner else {
            return Err(AdvanceError::Unexpected { found: "a profile's wake" });
        };
        let mut slot = slots::load(self.tables, id, Consistency::Eventual).await?;
        // An eventually consistent read is half the price, and one that is too old to know of
        // this arming shows it.
        if slot.as_ref().is_none_or(|slot| slot.item.arm < wake.arm) {
            slot = slots::load(self.tables, id, Consistency::Strong).await?;
        }
        // Forgotten: it ended long ago.
        let Some(slot) = slot else {
            return Ok(());
        };
        if slot.item.ended.is_some() || slot.item.arm != wake.arm {
            if again {
                work.effects.add(&slot.item, &slot.item.pending)?;
            }
            return Ok(());
        }
        let view = self.view(slot.item.slot.profile).await?;
        let input = Input::Woken { arm: wake.arm };
        self.advance(slot, view.as_ref(), input, again, work).await
    }

    /// Moves one enrollment on. Where others wrote meanwhile, decides again on what they wrote.
    async fn advance(
        &self,
        mut slot: Slot,
        view: Option<&ProfileView>,
        input: Input,
        again: bool,
        work: &mut Work,
    ) -> Result<(), AdvanceError> {
        for _ in 0..ATTEMPTS_MAX {
            let Transition { mut enrollment, effects } =
                self.decide(&slot.item, view, input).await?;
            if enrollment == slot.item {
                match (input, effects.as_slice()) {
                    (Input::Woken { .. }, [JourneyEffect::Wake { due, .. }]) => {
                        work.early = Some(*due);
                    }
                    _ => work.effects.add(&slot.item, &effects)?,
                }
                if again {
                    work.effects.add(&slot.item, &slot.item.pending)?;
                }
                return Ok(());
            }
            self.settle(&slot.item, Some(&enrollment), input).await?;
            match self.save(&mut enrollment, Some(slot.version)).await? {
                Written::Done => return Ok(work.effects.add(&enrollment, &effects)?),
                Written::Conflict { current: Some(row), .. } => slot = slots::read(row)?,
                Written::Conflict { current: None, .. } => {
                    let id = &slot.item.slot;
                    match slots::load(self.tables, id, Consistency::Strong).await? {
                        Some(current) => slot = current,
                        None => return Ok(()),
                    }
                }
            }
        }
        Err(AdvanceError::Contended)
    }

    async fn save(
        &self,
        enrollment: &mut Enrollment,
        read_at: Option<u64>,
    ) -> Result<Written, AdvanceError> {
        slots::save(self.tables, enrollment, read_at).await.map_err(AdvanceError::of_write)
    }

    async fn decide(
        &self,
        enrollment: &Enrollment,
        view: Option<&ProfileView>,
        input: Input,
    ) -> Result<Transition, AdvanceError> {
        let Some(view) = view else {
            return Ok(erase(enrollment, self.now));
        };
        let entry = self.catalog.journeys.get(&enrollment.slot.journey);
        Ok(match entry.map(|entry| entry.state) {
            Some(JourneyState::Paused | JourneyState::Draft) => park(enrollment, input, self.now),
            // A journey that was deleted ends like an archived one: those inside go on.
            Some(JourneyState::Live | JourneyState::Archived) | None => {
                let plan = self.plan(enrollment.version).await?;
                step(&plan, enrollment, view, input, self.now)
            }
        })
    }

    /// Carries out the effects of the last write before another replaces them, unless they surely
    /// were carried out (this very wake was the last of them) or are moot (the facts have ended
    /// the enrollment, and a mail not yet asked for must not go out any more).
    async fn settle(
        &self,
        before: &Enrollment,
        after: Option<&Enrollment>,
        input: Input,
    ) -> Result<(), AdvanceError> {
        let moot = after.and_then(|after| after.ended).is_some_and(|(ending, _)| match ending {
            Ending::Exited | Ending::GoalReached | Ending::Erased => true,
            Ending::Completed => false,
        });
        let carried_out = matches!(input, Input::Woken { arm } if arm == before.arm);
        if before.pending.is_empty() || carried_out || moot {
            return Ok(());
        }
        let mut effects = Effects::default();
        effects.add(before, &before.pending)?;
        Ok(carry_out(self.tables, self.queues, effects, self.now).await?)
    }

    async fn enter(
        &self,
        version: ContentHash,
        plan: &Plan,
        occasion: &Occasion,
        view: &ProfileView,
        owners: &[ProfileId],
        work: &mut Work,
    ) -> Result<(), AdvanceError> {
        let id = SlotId {
            profile: view.profile,
            journey: plan.journey().id.clone(),
            key: EnrollmentKeyHash::of(&occasion.enrollment_key(plan.journey())),
        };
        let mut owners = owners.to_vec();
        if !owners.contains(&view.profile) {
            owners.push(view.profile);
        }
        for _ in 0..ATTEMPTS_MAX {
            let slots = slots::load_same(self.tables, &owners, &id).await?;
            let items: Vec<Enrollment> = slots.iter().map(|slot| slot.item.clone()).collect();
            let application =
                Application { plan, version, occasion, view, slots: &items, now: self.now };
            match enter(&application) {
                Entry::Refused(refusal) => {
                    tracing::debug!(
                        journey = plan.journey().id.as_str(),
                        refusal = refusal.code(),
                        "not let in"
                    );
                    return Ok(());
                }
                Entry::Repeated(enrollment) => {
                    work.counts.duplicates += 1;
                    return Ok(work.effects.add(&enrollment, &enrollment.pending)?);
                }
                Entry::Enrolled(transition) => {
                    let Transition { mut enrollment, effects } = *transition;
                    let stood = slots.iter().find(|slot| slot.item.slot == id);
                    if let Some(stood) = stood {
                        self.settle(&stood.item, None, Input::Entered).await?;
                    }
                    let read_at = stood.map(|slot| slot.version);
                    if self.save(&mut enrollment, read_at).await? == Written::Done {
                        work.counts.entered += 1;
                        return Ok(work.effects.add(&enrollment, &effects)?);
                    }
                }
            }
        }
        Err(AdvanceError::Contended)
    }

    /// The live journeys that this test picks, ready for stepping.
    async fn live(
        &self,
        picks: impl Fn(&Journey) -> bool,
    ) -> Result<Vec<(ContentHash, Plan)>, AdvanceError> {
        let live = self.catalog.journeys.values().filter(|entry| entry.state == JourneyState::Live);
        let versions: Vec<ContentHash> = live.map(|entry| entry.version).collect();
        let journeys = self.cache.journeys(self.tables, &versions).await?;
        let picked = versions.into_iter().zip(journeys).filter(|(_, journey)| picks(journey));
        Ok(picked.map(|(version, journey)| (version, Plan::of(journey))).collect())
    }

    async fn plan(&self, version: ContentHash) -> Result<Plan, AdvanceError> {
        let journey: Arc<Journey> = self.cache.journey(self.tables, version).await?;
        Ok(Plan::of(journey))
    }
}

/// Every identity that enrollments of a profile may stand under, its own first, each once.
fn owners(profile: ProfileId, linked: &[IdentityKey]) -> Vec<ProfileId> {
    let mut owners = vec![profile];
    for key in linked.iter().take(ACCUMULATORS_MAX) {
        let owner = ProfileId::from(*key);
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    owners
}
