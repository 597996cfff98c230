//! Whose an address is: the rows that lead from it to the identities under which it was given.

use super::delivery::{Content, Delivery};
use super::effects::{PUTS_AT_ONCE, kept};
use super::{Setting, fold::Decided};
use crate::ports::{Expect, Key, Row, Tables, Write};
use crate::profiles::email_row;
use crate::stored::StoredError;
use futures_util::StreamExt as _;
use odyssey_domain::profile::email_of;
use std::collections::BTreeMap;

/// Puts the rows of the addresses that a group's events give, on every delivery, before consents
/// are read and anything is committed. A change of consent then finds its profiles: those whose
/// fold has read the contact as it was before the change have their rows there by then. A row whose
/// fold never comes to anything leads to nobody, or to somebody who is asked whether it is theirs.
pub(super) async fn note<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    group: &[Delivery],
    decided: &Decided,
) -> Result<(), StoredError> {
    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    for delivery in group {
        let Content::Events { received, source, .. } = &delivery.content else { continue };
        for (item, _) in kept(delivery, decided) {
            let Some(email) = email_of(&item.event) else { continue };
            let contact = setting.keyring.contact_key(&email);
            let row = email_row(contact, item.own, source.kind, *received)?;
            let held = rows.entry(row.key.clone()).or_insert_with(|| row.clone());
            held.expires = held.expires.max(row.expires);
        }
    }
    let puts =
        rows.into_values().map(|row| setting.tables.write(Write::Put { row, expect: Expect::Any }));
    let mut puts = futures_util::stream::iter(puts).buffer_unordered(PUTS_AT_ONCE);
    while let Some(put) = puts.next().await {
        put?;
    }
    Ok(())
}
