//! Segments: who is to be decided on beside those who did something, and what their contacts said.

use super::delivery::{Content, Delivery};
use super::world::{Place, World};
use super::{Setting, fold::Decided};
use crate::due::not_sent;
use crate::ports::{Queue, QueueMessage, Queues, Tables};
use crate::profiles::email_profiles;
use crate::segments::answers_of;
use crate::stored::StoredError;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::segment::Cause;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Command;
use std::collections::{BTreeMap, BTreeSet};

/// Has the profiles looked at that ever gave the address whose consent has changed, where a segment
/// asks for consent: a consent is the address's, so that it may move profiles that did nothing
/// themselves. Each by a message of its own: they have nothing to do with one another, and together
/// they may be more than one transaction can write.
pub(super) async fn ask_concerned<T: Tables, B, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    delivery: &Delivery,
) -> Result<(), StoredError> {
    let Some(contact) = delivery.contact else { return Ok(()) };
    if !setting.catalog.declared().ask_consent() {
        return Ok(());
    }
    let mut looks = Vec::new();
    for (profile, _) in email_profiles(setting.tables, contact).await? {
        // Nothing in it that JSON cannot hold.
        let body = serde_json::to_string(&Command::Look { profile }).unwrap_or_default();
        looks.push(QueueMessage { body, delay: Span::ZERO });
    }
    if looks.is_empty() || setting.queues.send(Queue::Profile, &looks).await?.is_empty() {
        return Ok(());
    }
    Err(not_sent("ask for looks"))
}

/// What the deliveries of a group ask to be looked at: the roots behind their looks.
pub(super) async fn looked_at<T: Tables>(
    world: &mut World<'_, T>,
    group: &[Delivery],
) -> Result<Option<BTreeSet<IdentityKey>>, StoredError> {
    let mut roots = BTreeSet::new();
    for look in group.iter().flat_map(|delivery| &delivery.looks) {
        match world.place(*look).await? {
            Some(Place::Root(root)) => drop(roots.insert(root)),
            Some(Place::Nobody | Place::Erased(_)) => {}
            None => return Ok(None),
        }
    }
    Ok(Some(roots))
}

/// Whether a delivery of a group brought events to a root.
pub(super) fn did_something(group: &[Delivery], decided: &Decided, root: IdentityKey) -> bool {
    group.iter().any(|delivery| match &delivery.content {
        Content::Events { items, .. } => {
            items.iter().any(|item| decided.roots.get(&item.own) == Some(&root))
        }
        Content::Wake { .. } | Content::Look => false,
    })
}

/// Decides on the segments of every root that was changed or is to be looked at. Runs after what
/// was crossed, since segments ask for signals.
pub(super) async fn settle<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    group: &[Delivery],
    looks: &BTreeSet<IdentityKey>,
    woken: &BTreeMap<IdentityKey, Stamp>,
    decided: &Decided,
) -> Result<(), StoredError> {
    let declared = setting.catalog.declared();
    let ask_consent = declared.ask_consent();
    for (key, dirty) in world.roots() {
        if !dirty && !looks.contains(&key) {
            continue;
        }
        let consents =
            if ask_consent { consents(setting, world, key).await? } else { BTreeMap::new() };
        let acted = looks.contains(&key) || did_something(group, decided, key);
        // A wake a moment before its time is answered as of its time, or it would come to nothing
        // and be armed again.
        let now = woken.get(&key).map_or(setting.now, |due| setting.now.max(*due));
        let cause = if acted || !woken.contains_key(&key) { Cause::Event } else { Cause::Time };
        let Some(root) = world.root_mut(key) else { continue };
        if root.settle_segments(ProfileId::from(key), declared, consents, cause, now) {
            world.touch(key);
        }
    }
    Ok(())
}

/// What the contact behind a profile's address has said.
async fn consents<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    key: IdentityKey,
) -> Result<BTreeMap<TopicId, ConsentState>, StoredError> {
    match world.root(key) {
        Some(root) => answers_of(setting.tables, setting.keyring, root).await,
        None => Ok(BTreeMap::new()),
    }
}
