//! `computed_traits` in `workspace.yaml`: values that profiles keep up to date.
//!
//! ```yaml
//! spent_90d: {kind: sum, of: total, currency: EUR, event: Order Completed, within: 90d}
//! favourite_category: {kind: most_frequent, of: category, event: Product Viewed}
//! ```

use super::Known;
use super::conditions::{event, path};
use super::fault::Place;
use super::fields::{Fields, Reading};
use super::settings::one_of;
use super::yaml::{Node, quoted};
use crate::profile::{
    Amounts, COMPUTED_BYTES_MAX, COMPUTED_NAME_BYTES_MAX, COMPUTED_TRAITS_MAX,
    COMPUTED_WINDOW_DAYS_MAX, ComputedKind, ComputedRule, ComputedTraits, Currency,
};
use crate::time::Span;
use std::collections::BTreeMap;

/// The keys of a computed trait.
pub const COMPUTED_KEYS: &[&str] = &["kind", "of", "currency", "event", "where", "within"];
/// The kinds of computed traits.
pub const COMPUTED_KINDS: &[&str] = &[
    "count",
    "sum",
    "minimum",
    "maximum",
    "average",
    "first",
    "latest",
    "most_frequent",
    "distinct",
];
/// Traits that the Segment Spec gives a meaning to: clients send them, and a computed trait of that
/// name would hide what they say.
const SENT: &[&str] = &[
    "address",
    "age",
    "avatar",
    "birthday",
    "company",
    "createdAt",
    "created_at",
    "description",
    "email",
    "firstName",
    "first_name",
    "gender",
    "id",
    "lastName",
    "last_name",
    "name",
    "phone",
    "title",
    "username",
    "website",
];

/// The computed traits that the file declares.
pub(crate) fn read(
    reading: &mut Reading<'_>,
    node: Option<&Node>,
    known: &Known,
) -> ComputedTraits {
    const EXPECTED: &str =
        "computed traits, as {orders_30d: {kind: count, event: Order Completed, within: 30d}}";
    let mut rules: BTreeMap<String, ComputedRule> = BTreeMap::new();
    let Some(fields) = node.and_then(|node| reading.open(node, EXPECTED)) else {
        return rules.into();
    };
    if fields.entries().len() > COMPUTED_TRAITS_MAX {
        let found = format!("{} computed traits", fields.entries().len());
        reading.fault(fields.place, found, format!("at most {COMPUTED_TRAITS_MAX}"));
    }
    for (key, node) in fields.entries() {
        let named = name(reading, &key.name, key.place);
        let Some(fields) = reading.fields(node, "a computed trait", COMPUTED_KEYS) else {
            continue;
        };
        let rule = rule(reading, fields, known);
        if let (Some(()), Some(rule)) = (named, rule) {
            rules.insert(key.name.clone(), rule);
        }
    }
    let place = fields.place;
    let traits: ComputedTraits = rules.into();
    budget(reading, place, &traits);
    traits
}

/// Refuses what would not fit into the item of a busy customer.
fn budget(reading: &mut Reading<'_>, place: Place, traits: &ComputedTraits) {
    const NAMED_MAX: usize = 5;
    let bytes = traits.bytes_max();
    if bytes <= COMPUTED_BYTES_MAX {
        return;
    }
    let kilobytes = |bytes: usize| bytes.div_ceil(1024);
    let mut largest: Vec<(usize, &str)> =
        traits.iter().map(|(name, _, rule)| (rule.bytes_max(), name)).collect();
    largest.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let more = largest.len().saturating_sub(NAMED_MAX);
    largest.truncate(NAMED_MAX);
    let mut named: Vec<String> = largest
        .into_iter()
        .map(|(bytes, name)| format!("{name} {} KB", kilobytes(bytes)))
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let found = format!(
        "computed traits that take up to {} KB in a profile: {}",
        kilobytes(bytes),
        named.join(", ")
    );
    let expected = format!("at most {} KB: shorter windows, or fewer", COMPUTED_BYTES_MAX / 1024);
    reading.fault(place, found, expected);
}

fn name(reading: &mut Reading<'_>, name: &str, place: Place) -> Option<()> {
    if SENT.contains(&name) {
        let expected = "a name that no client sends as a trait of its own: this one would hide it";
        reading.fault(place, format!("computed trait {}", quoted(name)), expected);
        return None;
    }
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = name.len() <= COMPUTED_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(letters);
    if !ok {
        let expected = format!(
            "a name of letters, digits and underscores that begins with a letter, at most {COMPUTED_NAME_BYTES_MAX} long"
        );
        reading.fault(place, quoted(name), expected);
    }
    ok.then_some(())
}

fn rule(reading: &mut Reading<'_>, fields: Fields<'_>, known: &Known) -> Option<ComputedRule> {
    let kind = kind(reading, fields);
    let event = event(reading, fields, known, "event");
    let days = match fields.get("within") {
        None => Some(None),
        Some(node) => days(reading, node).map(Some),
    };
    Some(ComputedRule { kind: kind?, event: event?, days: days? })
}

/// A kind before its property is known.
#[derive(Clone, Copy)]
enum Word {
    Count,
    Amounts(fn(Amounts) -> ComputedKind),
    Values(fn(String) -> ComputedKind),
}

fn kind(reading: &mut Reading<'_>, fields: Fields<'_>) -> Option<ComputedKind> {
    let words = [
        ("count", Word::Count),
        ("sum", Word::Amounts(ComputedKind::Sum)),
        ("minimum", Word::Amounts(ComputedKind::Minimum)),
        ("maximum", Word::Amounts(ComputedKind::Maximum)),
        ("average", Word::Amounts(ComputedKind::Average)),
        ("first", Word::Values(ComputedKind::First)),
        ("latest", Word::Values(ComputedKind::Latest)),
        ("most_frequent", Word::Values(ComputedKind::MostFrequent)),
        ("distinct", Word::Values(ComputedKind::Distinct)),
    ];
    let node = reading.need(fields, "kind", "count")?;
    let word = one_of(reading, node, "kind of computed trait", &words)?;
    if !matches!(word, Word::Amounts(_))
        && let Some(node) = fields.get("currency")
    {
        let expected = "no currency: only sum, minimum, maximum and average are of amounts";
        reading.fault(node.place, "key `currency`", expected);
    }
    match word {
        Word::Count => {
            let Some(node) = fields.get("of") else { return Some(ComputedKind::Count) };
            reading.fault(node.place, "key `of`", "no property: count counts events");
            None
        }
        Word::Amounts(kind) => {
            let of = property(reading, fields, "total");
            let currency = match fields.get("currency") {
                None => Some(None),
                Some(node) => currency(reading, node).map(Some),
            };
            Some(kind(Amounts { of: of?, currency: currency? }))
        }
        Word::Values(kind) => property(reading, fields, "category").map(kind),
    }
}

fn property(reading: &mut Reading<'_>, fields: Fields<'_>, example: &str) -> Option<String> {
    let node = reading.need(fields, "of", example)?;
    let text = reading.text(node, "the path of a property")?;
    path(reading, text, node.place)?;
    Some(text.to_owned())
}

fn currency(reading: &mut Reading<'_>, node: &Node) -> Option<Currency> {
    const EXPECTED: &str = "the code of a currency such as EUR (ISO 4217)";
    let text = reading.text(node, EXPECTED)?;
    let currency = Currency::parse(text);
    if currency == Currency::UNKNOWN {
        reading.fault(node.place, quoted(text), EXPECTED);
        return None;
    }
    Some(currency)
}

/// A window of whole days.
fn days(reading: &mut Reading<'_>, node: &Node) -> Option<u32> {
    let span = reading.span(node)?;
    let whole = span.ms().is_multiple_of(Span::DAY.ms());
    let days = u32::try_from(span.ms() / Span::DAY.ms()).ok().filter(|_| whole);
    let fits = days.filter(|days| (1..=COMPUTED_WINDOW_DAYS_MAX).contains(days));
    if fits.is_none() {
        let expected = format!("whole days, from 1d to {COMPUTED_WINDOW_DAYS_MAX}d");
        reading.fault(node.place, format!("a window of {span}"), expected);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Files, Workspace};
    use serde_json::json;

    fn read(traits: &str) -> Result<ComputedTraits, Vec<String>> {
        let settings = format!(
            "brand: {{name: N, from: n@n.example, postal_address: 12 Harbour Street Hamburg, website: https://n.example}}\n\
             sources: {{web: {{kind: browser}}}}\ntopics: {{offers: {{title: O, kind: marketing}}}}\n\
             confirmation_mail: confirm\nevents: [Call Answered]\ncomputed_traits:\n{traits}"
        );
        let mail = "---\nsubject: Hello\n---\n<mjml></mjml>\n".to_owned();
        let files = Files::from([
            ("workspace.yaml".to_owned(), settings),
            ("mails/confirm.mjml".to_owned(), mail),
        ]);
        match Workspace::read(&files) {
            Ok(workspace) => {
                Ok(workspace.publish(Vec::new(), crate::time::Stamp::MIN).catalog.computed_traits)
            }
            Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn right_ones_reach_the_catalog() {
        let found = read(
            "  calls: {kind: count, event: Call Answered}\n  \
             spent_90d: {kind: sum, of: total, currency: eur, event: Order Completed, where: {total: {above: 5}}, within: 90d}\n  \
             seen: {kind: distinct, of: name, event: page, within: 1w}\n",
        )
        .unwrap();
        let expected = json!({
            "calls": {"kind": "count", "event": {"event": "Call Answered"}},
            "seen": {"kind": {"distinct": "name"}, "event": {"event": "page"}, "days": 7},
            "spent_90d": {"kind": {"sum": {"of": "total", "currency": "EUR"}}, "days": 90,
                "event": {"event": "Order Completed", "where": [{"property": "total", "is": {"above": 5}}]}},
        });
        assert_eq!(json!(found), expected);
        let stored: ComputedTraits = serde_json::from_value(expected).unwrap();
        assert_eq!(stored, found);
        assert!(COMPUTED_KINDS.contains(&"count") && found.len() == 3);
    }

    #[test]
    fn wrong_ones_are_told_with_their_place() {
        let cases = [
            (
                "  email: {kind: count, event: page}",
                "7:3: found computed trait `email`, expected a name that no client",
            ),
            (
                "  90d_spent: {kind: count, event: page}",
                "7:3: found `90d_spent`, expected a name of letters",
            ),
            (
                "  a: {kind: coutn, event: page}",
                "found kind of computed trait `coutn`, expected one of `count`",
            ),
            ("  a: {kind: count, of: total, event: page}", "found key `of`, expected no property"),
            ("  a: {kind: sum, event: page}", "found no key `of`, expected `of: total`"),
            (
                "  a: {kind: first, of: x, currency: EUR, event: page}",
                "found key `currency`, expected no currency",
            ),
            (
                "  a: {kind: sum, of: x, currency: gold, event: page}",
                "found `gold`, expected the code of a currency",
            ),
            ("  a: {kind: sum, of: x..y, event: page}", "found `x..y`, expected a path"),
            ("  a: {kind: count, event: Order Complete}", "did you mean `Order Completed`?"),
            (
                "  a: {kind: count, event: page, within: 36h}",
                "found a window of 36h, expected whole days, from 1d to 366d",
            ),
            (
                "  a: {kind: count, event: page, within: 400d}",
                "found a window of 400d, expected whole days",
            ),
            (
                "  a: {kind: count, event: page, window: 4d}",
                "found key `window`, expected one of `kind`",
            ),
            ("  a: {kind: count}", "found no key `event`"),
            ("  a: 5", "expected a computed trait: a mapping"),
        ];
        for (traits, expected) in cases {
            let faults = read(traits).unwrap_err();
            let told = faults
                .iter()
                .any(|fault| fault.starts_with("workspace.yaml:") && fault.contains(expected));
            assert!(told, "{traits}\n{expected}\n{faults:#?}");
        }
        let many: Vec<String> =
            (0..33).map(|n| format!("  t{n}: {{kind: count, event: page}}")).collect();
        let faults = read(&many.join("\n")).unwrap_err();
        assert!(faults[0].contains("found 33 computed traits, expected at most 32"));
    }

    #[test]
    fn what_would_not_fit_into_a_profile_is_refused_by_name() {
        let of = |n: usize, kind: &str, days: u32| -> String {
            let of = if kind == "count" { "" } else { ", of: path" };
            let one = |n| {
                let within = days - u32::try_from(n).unwrap();
                format!("  {kind}{n}: {{kind: {kind}, event: page, within: {within}d{of}}}\n")
            };
            (0..n).map(one).collect()
        };
        assert_eq!(read(&of(30, "count", 366)).unwrap().len(), 30);
        assert_eq!(read(&of(1, "most_frequent", 366)).unwrap().len(), 1);
        let faults = read(&(of(4, "most_frequent", 100) + &of(3, "count", 30))).unwrap_err();
        let expected = "workspace.yaml:7:3: found computed traits that take up to 346 KB in a profile: \
            most_frequent0 87 KB, ";
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{faults:#?}");
        let rest = "count0 1 KB, 2 more, expected at most 320 KB: shorter windows, or fewer";
        assert!(faults.iter().any(|fault| fault.ends_with(rest)), "{faults:#?}");
    }
}
