//! Products as events describe them.

use super::money::{Currency, Money, currency_of};
use super::text::clip;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest product id that stands as it is, in bytes; of a longer one, its beginning.
pub(super) const PRODUCT_ID_BYTES_MAX: usize = 64;
/// The longest product name kept, in bytes.
pub(super) const PRODUCT_NAME_BYTES_MAX: usize = 120;
/// The longest URL kept, in bytes; a longer one is dropped, for half a URL is none.
pub(super) const URL_BYTES_MAX: usize = 400;
/// Products of one event beyond this are not looked at.
pub(super) const PRODUCTS_PER_EVENT_MAX: usize = 64;
/// The greatest quantity believed.
pub(super) const QUANTITY_MAX: u32 = 9_999;

/// What is kept of a product: enough to show it in a mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Product {
    /// Its name.
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The price of one.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Its category.
    #[serde(default, rename = "c", skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its page.
    #[serde(default, rename = "u", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its picture.
    #[serde(default, rename = "i", skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Product {
    /// Reads one out of an event's properties or out of an entry of its `products`.
    pub(super) fn read(fields: &Map<String, Value>, currency: Currency) -> Product {
        let text = |name: &str, limit: usize| {
            fields.get(name).and_then(Value::as_str).map(|text| clip(text, limit).to_owned())
        };
        let url = |name: &str| {
            fields
                .get(name)
                .and_then(Value::as_str)
                .filter(|url| url.len() <= URL_BYTES_MAX)
                .map(str::to_owned)
        };
        Product {
            name: text("name", PRODUCT_NAME_BYTES_MAX),
            price: fields.get("price").and_then(|price| Money::parse(price, currency)),
            category: text("category", PRODUCT_ID_BYTES_MAX),
            url: url("url"),
            image: url("image_url"),
        }
    }
}

/// What a product goes by: `product_id`, else `sku`, `id`, or its name.
pub(super) fn product_id(fields: &Map<String, Value>) -> Option<std::borrow::Cow<'_, str>> {
    ["product_id", "sku", "id", "name"].iter().find_map(|name| match fields.get(*name)? {
        Value::String(text) if !text.trim().is_empty() => {
            Some(clip(text.trim(), PRODUCT_ID_BYTES_MAX).into())
        }
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    })
}

/// A `quantity`: a whole number from 0, as number or text.
pub(super) fn quantity(fields: &Map<String, Value>) -> Option<u32> {
    let whole = match fields.get("quantity")? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }?;
    Some(u32::try_from(whole).unwrap_or(QUANTITY_MAX).min(QUANTITY_MAX))
}

/// The entries of an event's `products`, in its currency.
pub(super) fn products(
    properties: &Map<String, Value>,
) -> impl Iterator<Item = &Map<String, Value>> {
    properties
        .get("products")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(PRODUCTS_PER_EVENT_MAX)
        .filter_map(Value::as_object)
}

/// The currency of a product: its own, else the event's, else US dollars.
pub(super) fn product_currency(
    fields: &Map<String, Value>,
    properties: &Map<String, Value>,
) -> Currency {
    currency_of(fields).or_else(|| currency_of(properties)).unwrap_or(Currency::USD)
}
