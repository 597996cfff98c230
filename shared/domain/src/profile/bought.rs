//! What an order held: categories, brands, what a piece cost.

use super::described::Fields;
use super::money::{Currency, Money};
use super::number;
use super::product::{self, ProductFields};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::mem::swap;

/// Categories and brands kept of one order, the first that are listed.
const NAMES_PER_ORDER_MAX: usize = 4;
pub(super) const NAME_BYTES_MAX: usize = 48;

/// What is kept of an order's products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Bought {
    /// Categories, each once.
    #[serde(default, rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Brands, each once.
    #[serde(default, rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// What one piece cost on average, of those whose price is in the order's currency.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub piece: Option<Money>,
}

impl Fields for Bought {
    const LETTERS: &'static str = "cbp";

    fn has(&self, field: char) -> bool {
        match field {
            'c' => !self.categories.is_empty(),
            'b' => !self.brands.is_empty(),
            'p' => self.piece.is_some(),
            _ => false,
        }
    }

    fn swap(&mut self, field: char, other: &mut Bought) {
        match field {
            'c' => swap(&mut self.categories, &mut other.categories),
            'b' => swap(&mut self.brands, &mut other.brands),
            'p' => swap(&mut self.piece, &mut other.piece),
            _ => {}
        }
    }
}

impl Bought {
    pub(super) fn of(properties: &Map<String, Value>) -> Bought {
        let of_order = ProductFields::of(properties).currency().unwrap_or(Currency::USD);
        let mut bought = Bought::default();
        let (mut pieces, mut sum) = (0_u64, 0_u64);
        for entry in product::products(properties) {
            let fields = ProductFields::of(entry);
            keep(&mut bought.categories, fields.category());
            keep(&mut bought.brands, number::text(entry.get("brand"), NAME_BYTES_MAX));
            let quantity = fields.quantity().unwrap_or(1);
            let currency = fields.currency().unwrap_or(of_order);
            let price = entry.get("price").and_then(|price| Money::parse(price, currency));
            let line = price.filter(|price| price.1 == of_order).and_then(|p| p.times(quantity));
            if let Some(line) = line {
                pieces = pieces.saturating_add(quantity.into());
                sum = sum.saturating_add(line.0);
            }
        }
        bought.piece = sum.checked_div(pieces).map(|minor| Money(minor, of_order));
        bought
    }
}

fn keep(names: &mut Vec<String>, name: Option<&str>) {
    let name = name.map(|name| super::text::clip(name, NAME_BYTES_MAX));
    let name = name.filter(|name| names.iter().all(|held| held != name));
    if let Some(name) = name.filter(|_| names.len() < NAMES_PER_ORDER_MAX) {
        names.push(name.to_owned());
    }
}

/// In how many orders each name stands.
pub(super) fn counted<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, u64> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// The bounds of price bands, in whole units of a currency with two decimals; others are scaled to
/// the same number of minor units.
const BAND_BOUNDS: [u64; 8] = [10, 25, 50, 100, 250, 500, 1_000, 2_500];

/// The band in which the middle one of some prices of a piece lies: `under 10`, `25 to 50`,
/// `2500 and more`, in whole units of the currency.
pub(super) fn price_band(pieces: &mut [u64], currency: Currency) -> Option<String> {
    pieces.sort_unstable();
    let middle = *pieces.get(pieces.len().checked_sub(1)? / 2)?;
    let unit = 10_u64.pow(currency.decimals());
    // A yen is about a cent: the bands of a currency without decimals are a hundred times as wide.
    let scale = if currency.decimals() == 0 { 100 } else { 1 };
    let mut least: Option<u64> = None;
    for bound in BAND_BOUNDS.map(|bound| bound * scale) {
        if middle < bound * unit {
            return Some(match least {
                None => format!("under {bound}"),
                Some(least) => format!("{least} to {bound}"),
            });
        }
        least = Some(bound);
    }
    least.map(|least| format!("{least} and more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands() {
        let band = |prices: &[u64], code| price_band(&mut prices.to_vec(), Currency::parse(code));
        assert_eq!(band(&[], "EUR"), None);
        assert_eq!(band(&[999], "EUR").as_deref(), Some("under 10"));
        assert_eq!(band(&[1_000], "EUR").as_deref(), Some("10 to 25"));
        assert_eq!(band(&[100, 3_000, 900_000], "EUR").as_deref(), Some("25 to 50"));
        assert_eq!(band(&[3_000], "JPY").as_deref(), Some("2500 to 5000"));
        assert_eq!(band(&[Money::MINOR_MAX], "USD").as_deref(), Some("2500 and more"));
    }
}
