//! Products as events describe them.

use super::described::Fields;
use super::money::{Currency, Money};
use super::number;
use super::text::{clip, exceeds};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::mem::swap;

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

impl Fields for Product {
    const LETTERS: &'static str = "npcui";

    fn has(&self, field: char) -> bool {
        match field {
            'n' => self.name.is_some(),
            'p' => self.price.is_some(),
            'c' => self.category.is_some(),
            'u' => self.url.is_some(),
            'i' => self.image.is_some(),
            _ => false,
        }
    }

    fn swap(&mut self, field: char, other: &mut Product) {
        match field {
            'n' => swap(&mut self.name, &mut other.name),
            'p' => swap(&mut self.price, &mut other.price),
            'c' => swap(&mut self.category, &mut other.category),
            'u' => swap(&mut self.url, &mut other.url),
            'i' => swap(&mut self.image, &mut other.image),
            _ => {}
        }
    }
}

/// The fields of a product among an event's properties, or in an entry of its `products`: found in
/// one pass, since properties are many and names to look up are, too.
#[derive(Default)]
pub(super) struct ProductFields<'a> {
    product_id: Option<&'a Value>,
    sku: Option<&'a Value>,
    id: Option<&'a Value>,
    name: Option<&'a Value>,
    quantity: Option<&'a Value>,
    price: Option<&'a Value>,
    currency: Option<&'a Value>,
    category: Option<&'a Value>,
    url: Option<&'a Value>,
    image_url: Option<&'a Value>,
}

impl<'a> ProductFields<'a> {
    pub(super) fn of(fields: &'a Map<String, Value>) -> ProductFields<'a> {
        let mut found = ProductFields::default();
        for (name, value) in fields {
            let slot = match name.as_str() {
                "product_id" => &mut found.product_id,
                "sku" => &mut found.sku,
                "id" => &mut found.id,
                "name" => &mut found.name,
                "quantity" => &mut found.quantity,
                "price" => &mut found.price,
                "currency" => &mut found.currency,
                "category" => &mut found.category,
                "url" => &mut found.url,
                "image_url" => &mut found.image_url,
                _ => continue,
            };
            *slot = Some(value);
        }
        found
    }

    /// What may say what the product goes by, the first of them first.
    const fn ids(&self) -> [Option<&'a Value>; 4] {
        [self.product_id, self.sku, self.id, self.name]
    }

    /// What the product goes by: `product_id`, else `sku`, `id`, or its name.
    pub(super) fn id(&self) -> Option<Cow<'a, str>> {
        self.ids().into_iter().find_map(|value| match value? {
            Value::String(text) if !text.trim().is_empty() => {
                Some(clip(text.trim(), PRODUCT_ID_BYTES_MAX).into())
            }
            Value::Number(number) => Some(number.to_string().into()),
            _ => None,
        })
    }

    /// How many: a number from 0, as number or text; many systems write `2.0`.
    pub(super) fn quantity(&self) -> Option<u32> {
        number::whole(self.quantity, QUANTITY_MAX)
    }

    /// The currency it names.
    pub(super) fn currency(&self) -> Option<Currency> {
        self.currency.and_then(Value::as_str).map(Currency::parse)
    }

    /// Its category, where it has one.
    pub(super) fn category(&self) -> Option<&'a str> {
        let category = self.category.and_then(Value::as_str)?;
        Some(clip(category.trim(), PRODUCT_ID_BYTES_MAX)).filter(|category| !category.is_empty())
    }

    /// Whether a text of it is not kept whole.
    pub(super) fn is_too_long(&self) -> bool {
        let is_said = |value: &&Value| match value {
            Value::String(text) => !text.trim().is_empty(),
            other => other.is_number(),
        };
        exceeds(self.ids().into_iter().flatten().find(is_said), PRODUCT_ID_BYTES_MAX)
            || exceeds(self.name, PRODUCT_NAME_BYTES_MAX)
            || self.is_category_too_long()
            || exceeds(self.url, URL_BYTES_MAX)
            || exceeds(self.image_url, URL_BYTES_MAX)
    }

    /// Whether its category is not kept whole.
    pub(super) fn is_category_too_long(&self) -> bool {
        exceeds(self.category, PRODUCT_ID_BYTES_MAX)
    }

    /// The product, its price in its own currency, else in the one given.
    pub(super) fn product(&self, otherwise: Option<Currency>) -> Product {
        let currency = self.currency().or(otherwise).unwrap_or(Currency::USD);
        // What is blank says nothing, and so takes nothing back.
        let said = |value: Option<&'a Value>| {
            value.and_then(Value::as_str).filter(|text| !text.trim().is_empty())
        };
        let url = |value: Option<&'a Value>| {
            said(value).filter(|url| url.len() <= URL_BYTES_MAX).map(str::to_owned)
        };
        Product {
            name: said(self.name).map(|name| clip(name, PRODUCT_NAME_BYTES_MAX).to_owned()),
            price: self.price.and_then(|price| Money::parse(price, currency)),
            category: self.category().map(str::to_owned),
            url: url(self.url),
            image: url(self.image_url),
        }
    }
}

/// The entries of an event's `products`.
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
