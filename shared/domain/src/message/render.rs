//! Rendering: a published mail, a profile and a trigger become subject, HTML and text.
//!
//! Templates are the workspace author's and trusted; values are anyone's and not. HTML is
//! autoescaped, subject and text are not; every value from an event passes the [`UrlGuard`]; an
//! undefined value that is printed is an error that names the mail, the part and the line (it may
//! be tested with `{% if %}` or given a `default`). Work is bounded by fuel, output by bytes.
//!
//! | name | what it holds |
//! | --- | --- |
//! | `profile` | the traits: `profile.first_name` |
//! | `facts` | the facts, nested at the first dot: `facts.orders.count`, `facts.cart.value` |
//! | `trigger` | what the trigger carried: a signal's evidence, an event's properties |
//! | `brand` | `name`, `website`, `postal_address` |
//! | `topic` | `id`, `title` |
//! | `links` | `unsubscribe`, or `confirm` in the confirmation mail |
//! | `preview` | the rendered preview line; in `html` alone |
//!
//! Filters, besides Jinja's own: `amount|money("EUR")` of minor units, and `link|url`, which keeps
//! a URL to the workspace's hosts, puts a path on its website, and makes anything else the website.

use super::guard::UrlGuard;
use super::header::{SUBJECT_CHARS_MAX, one_line};
use super::{Mail, MailId, money};
use crate::catalog::Brand;
use crate::contact::TopicId;
use crate::ids::ContentHash;
use crate::profile::ProfileView;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Instructions one part of one mail may take; a mail of a hundred products takes some thousands.
const FUEL: u64 = 200_000;
/// The most bytes of rendered HTML. Gmail cuts a message at about 102 KB, so more is a mistake.
pub const HTML_BYTES_MAX: usize = 256 * 1024;
/// The most bytes of rendered text.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The most bytes a one-line part may render to before it is cut to its characters.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// The longest preview line, in characters.
const PREVIEW_CHARS_MAX: usize = 150;
/// Compiled mails kept per process; beyond this the cache starts over.
const TEMPLATES_MAX: usize = 64;

/// A part of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The subject line.
    Subject,
    /// The preview line.
    Preview,
    /// The HTML part.
    Html,
    /// The text part.
    Text,
}

impl Part {
    const ALL: [Part; 4] = [Part::Subject, Part::Preview, Part::Html, Part::Text];

    const fn name(self) -> &'static str {
        match self {
            Part::Subject => "subject",
            Part::Preview => "preview",
            Part::Html => "html",
            Part::Text => "text",
        }
    }

    const fn bytes_max(self) -> usize {
        match self {
            Part::Subject | Part::Preview => LINE_BYTES_MAX,
            Part::Html => HTML_BYTES_MAX,
            Part::Text => TEXT_BYTES_MAX,
        }
    }
}

/// Why a mail cannot be compiled or rendered; without any value of the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template is at fault, or lacks a value.
    #[error("mail {mail}, {}, line {line}: {cause}", .part.name())]
    Template {
        /// The mail.
        mail: MailId,
        /// The part.
        part: Part,
        /// The line of the part, from 1; 0 where it is not known.
        line: usize,
        /// What is wrong there.
        cause: String,
    },
    /// More output than the part may have.
    #[error("mail {mail}, {}: renders to more than {limit} bytes", .part.name())]
    TooLong {
        /// The mail.
        mail: MailId,
        /// The part.
        part: Part,
        /// The limit.
        limit: usize,
    },
    /// Nothing left of the subject.
    #[error("mail {mail}, subject: renders to nothing")]
    EmptySubject {
        /// The mail.
        mail: MailId,
    },
}

/// The links a mail may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// A journey's mail.
    Unsubscribe(String),
    /// The confirmation mail.
    Confirm(String),
}

/// What a mail is rendered with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// To whom; none in a confirmation mail.
    pub profile: Option<&'a ProfileView>,
    /// What the trigger carried.
    pub trigger: &'a Map<String, Json>,
    /// From whom.
    pub brand: &'a Brand,
    /// Under which topic.
    pub topic: (&'a TopicId, &'a str),
    /// Its links.
    pub links: &'a Links,
}

/// A rendered mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// HTML.
    pub html: String,
    /// Plain text.
    pub text: String,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("html_bytes", &self.html.len()).finish_non_exhaustive()
    }
}

/// A compiled mail.
#[derive(Debug)]
pub struct Template {
    mail: MailId,
    environment: Environment<'static>,
    guard: UrlGuard,
    preview: Preview,
}

/// Where the preview line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preview {
    /// There is none, or `html` prints it itself.
    None,
    /// Hidden, at the start of the body.
    Put,
}

impl Template {
    /// Compiles a mail for a workspace's hosts.
    ///
    /// # Errors
    /// Where a part is not a Jinja template.
    pub fn compile(mail: &Mail, brand: &Brand) -> Result<Template, RenderError> {
        let guard = UrlGuard::new(brand);
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        environment.set_auto_escape_callback(|name| {
            if name == Part::Html.name() { AutoEscape::Html } else { AutoEscape::None }
        });
        environment.add_filter("money", money_filter);
        let urls = guard.clone();
        environment.add_filter("url", move |text: &str| urls.url(text));
        for part in Part::ALL {
            let source = match part {
                Part::Subject => &mail.subject,
                Part::Preview => &mail.preview,
                Part::Html => &mail.html,
                Part::Text => &mail.text,
            };
            environment
                .add_template_owned(part.name(), source.clone())
                .map_err(|error| template_error(&mail.id, part, &error))?;
        }
        let names_it = environment
            .get_template(Part::Html.name())
            .is_ok_and(|html| html.undeclared_variables(false).contains("preview"));
        let put = !names_it && !mail.preview.trim().is_empty();
        let preview = if put { Preview::Put } else { Preview::None };
        Ok(Template { mail: mail.id.clone(), environment, guard, preview })
    }

    /// Renders the mail.
    ///
    /// # Errors
    /// Where a value that is printed is undefined, a part takes too much work or renders to too
    /// many bytes, or nothing is left of the subject.
    pub fn render(&self, context: &Context<'_>) -> Result<Rendered, RenderError> {
        let values = self.values(context);
        let plain = Value::from(Serde(&values));
        let subject = one_line(&self.part(Part::Subject, &plain)?, SUBJECT_CHARS_MAX);
        if subject.is_empty() {
            return Err(RenderError::EmptySubject { mail: self.mail.clone() });
        }
        let preview = one_line(&self.part(Part::Preview, &plain)?, PREVIEW_CHARS_MAX);
        let text = self.part(Part::Text, &plain)?;
        let mut with_preview = values;
        with_preview.insert("preview".to_owned(), json!(preview));
        let mut html = self.part(Part::Html, &Value::from(Serde(&with_preview)))?;
        if self.preview == Preview::Put && !preview.is_empty() {
            put_preview(&mut html, &preview);
        }
        Ok(Rendered { subject, html, text })
    }

    fn part(&self, part: Part, values: &Value) -> Result<String, RenderError> {
        let fault = |error: &Error| template_error(&self.mail, part, error);
        let template = self.environment.get_template(part.name()).map_err(|e| fault(&e))?;
        let mut out = Bounded { bytes: Vec::new(), limit: part.bytes_max(), passed: false };
        let result = template.render_captured_to(values.clone(), &mut out).map(drop);
        if out.passed {
            let limit = part.bytes_max();
            return Err(RenderError::TooLong { mail: self.mail.clone(), part, limit });
        }
        result.map_err(|e| fault(&e))?;
        Ok(String::from_utf8_lossy(&out.bytes).into_owned())
    }

    fn values(&self, context: &Context<'_>) -> Map<String, Json> {
        let guarded = |map: &BTreeMap<String, Json>| -> Map<String, Json> {
            map.iter().map(|(name, value)| (name.clone(), self.guard.value(value))).collect()
        };
        let (traits, facts) = match context.profile {
            Some(view) => (guarded(&view.traits), nested(guarded(&view.facts))),
            None => (Map::new(), Map::new()),
        };
        let trigger = context.trigger.iter();
        let trigger: Map<String, Json> =
            trigger.map(|(name, value)| (name.clone(), self.guard.value(value))).collect();
        let links = match context.links {
            Links::Unsubscribe(url) => json!({ "unsubscribe": url }),
            Links::Confirm(url) => json!({ "confirm": url }),
        };
        let (topic, title) = context.topic;
        Map::from_iter([
            ("profile".to_owned(), Json::Object(traits)),
            ("facts".to_owned(), Json::Object(facts)),
            ("trigger".to_owned(), Json::Object(trigger)),
            (
                "brand".to_owned(),
                json!({
                    "name": context.brand.name,
                    "website": context.brand.website,
                    "postal_address": context.brand.postal_address,
                }),
            ),
            ("topic".to_owned(), json!({ "id": topic.as_str(), "title": title })),
            ("links".to_owned(), links),
        ])
    }
}

/// Facts are named `orders.count`; templates say `facts.orders.count`. Nested at the first dot
/// alone, because the rest may be an event's name. A fact without a dot stays, unless others share
/// its first word.
fn nested(facts: Map<String, Json>) -> Map<String, Json> {
    let mut out = Map::new();
    for (name, value) in facts {
        match name.split_once('.') {
            None => {
                out.entry(name).or_insert(value);
            }
            Some((group, rest)) => {
                let group = out.entry(group).or_insert_with(|| Json::Object(Map::new()));
                if !group.is_object() {
                    *group = Json::Object(Map::new());
                }
                if let Json::Object(group) = group {
                    group.insert(rest.to_owned(), value);
                }
            }
        }
    }
    out
}

fn money_filter(amount: &Value, currency: &str) -> Result<String, Error> {
    let invalid = |what: &'static str| Error::new(ErrorKind::InvalidOperation, what);
    let minor = amount
        .as_i64()
        .filter(|_| amount.is_integer())
        .ok_or_else(|| invalid("money takes a whole number of minor units"))?;
    money::format(minor, currency).ok_or_else(|| invalid("money takes a currency of three letters"))
}

/// Puts the preview line, hidden from the page, at the start of the body.
fn put_preview(html: &mut String, preview: &str) {
    let mut escaped = String::with_capacity(preview.len());
    for c in preview.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    let body = html
        .find("<body")
        .and_then(|at| html.get(at..).and_then(|rest| rest.find('>')).map(|end| at + end + 1));
    let hidden = format!(
        "<div style=\"display:none;max-height:0;overflow:hidden;opacity:0\">{escaped}</div>"
    );
    html.insert_str(body.unwrap_or(0), &hidden);
}

/// A template's error without any value: the detail of those kinds alone whose detail is the
/// author's own text, else the kind and the expression it happened in.
fn template_error(mail: &MailId, part: Part, error: &Error) -> RenderError {
    let source = error.range().and_then(|range| error.template_source()?.get(range));
    let expression = || source.map(|text| one_line(text, 80)).unwrap_or_default();
    let cause = match error.kind() {
        ErrorKind::SyntaxError
        | ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::TemplateNotFound => {
            format!("{}: {}", error.kind(), error.detail().unwrap_or_default())
        }
        ErrorKind::UndefinedError => format!("`{}` is undefined", expression()),
        ErrorKind::OutOfFuel => format!("takes more than {FUEL} instructions"),
        kind => format!("{kind} in `{}`", expression()),
    };
    RenderError::Template {
        mail: mail.clone(),
        part,
        line: error.line().unwrap_or(0),
        cause: one_line(&cause, 160),
    }
}

/// Takes bytes up to a limit and fails beyond it, so that a runaway loop ends early.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    passed: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.passed = true;
            return Err(io::Error::other("the part is full"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One process's compiled mails, by the address of their content.
#[derive(Debug, Default)]
pub struct TemplateCache {
    compiled: Mutex<BTreeMap<ContentHash, Arc<Template>>>,
}

impl TemplateCache {
    /// The compiled mail: from the cache where it was compiled for the same hosts.
    ///
    /// # Errors
    /// Where a part is not a Jinja template.
    pub fn get(
        &self,
        hash: ContentHash,
        mail: &Mail,
        brand: &Brand,
    ) -> Result<Arc<Template>, RenderError> {
        let known = self.compiled().get(&hash).cloned();
        if let Some(known) = known
            && known.guard == UrlGuard::new(brand)
        {
            return Ok(known);
        }
        let template = Arc::new(Template::compile(mail, brand)?);
        let mut compiled = self.compiled();
        if compiled.len() >= TEMPLATES_MAX {
            compiled.clear();
        }
        compiled.insert(hash, Arc::clone(&template));
        Ok(template)
    }

    fn compiled(&self) -> std::sync::MutexGuard<'_, BTreeMap<ContentHash, Arc<Template>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
