//! From files to what can be published: read, compile, render once, look at what came out.

use super::mjml;
use super::sample::{self, Customer};
use odyssey_domain::catalog::TopicKind;
use odyssey_domain::contact::TopicId;
use odyssey_domain::journey::{StepKind, Trigger};
use odyssey_domain::message::render::{Context, Links, Part, RenderError, Rendered, Template};
use odyssey_domain::message::{Mail, MailId};
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::{Fault, Files, MailSource, Place, Published, Workspace};
use odyssey_flows::catalog::Publication;

/// A link that stands for the real one while a mail is looked at.
const SAMPLE_LINK: &str = "https://odyssey.invalid/u/sample-link";
/// What is left of it in HTML, where a slash is escaped.
const SAMPLE_MARK: &str = "sample-link";
/// Gmail cuts off what is longer, and with it the unsubscribe link at the end.
const CLIPPED_BYTES: usize = 100 * 1024;

/// A workspace without mistakes, its mails compiled.
#[derive(Debug)]
pub struct Built {
    /// What the files say.
    pub workspace: Workspace,
    /// What is to be stored.
    pub publication: Publication,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Fault>,
    /// Each mail rendered for a customer of whom everything is known.
    pub samples: Vec<(MailId, Rendered)>,
}

/// Where and under which topic a mail is sent.
struct Use<'w> {
    topic: &'w TopicId,
    title: &'w str,
    kind: TopicKind,
    trigger: Option<&'w Trigger>,
}

/// Builds a workspace.
///
/// # Errors
/// Every mistake: those of reading, or else those of all mails.
pub fn build(files: &Files, now: Stamp) -> Result<Built, Vec<Fault>> {
    let workspace = Workspace::read(files)?;
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut mails = Vec::new();
    let mut samples = Vec::new();
    for source in workspace.mails.values() {
        match build_mail(&workspace, source, &mut warnings) {
            Ok((mail, rendered)) => {
                mails.push(mail);
                samples.push((source.id.clone(), rendered));
            }
            Err(fault) => faults.extend(fault),
        }
    }
    if !faults.is_empty() {
        faults.sort();
        return Err(faults);
    }
    unused_mails(&workspace, &mut warnings);
    let Published { catalog, journeys, mails } = workspace.publish(mails, now);
    let publication = Publication { catalog, journeys, mails };
    Ok(Built { workspace, publication, warnings, samples })
}

fn build_mail(
    workspace: &Workspace,
    source: &MailSource,
    warnings: &mut Vec<Fault>,
) -> Result<(Mail, Rendered), Vec<Fault>> {
    let uses = uses(workspace, &source.id);
    // First the author's own text, so that a mistake is told with the author's own line.
    let draft = Mail {
        id: source.id.clone(),
        subject: source.subject.clone(),
        preview: source.preview.clone(),
        html: source.mjml.clone(),
        text: source.text.as_ref().map(|(_, text)| text.clone()).unwrap_or_default(),
    };
    let mut faults = Vec::new();
    for customer in [Customer::WellKnown, Customer::Stranger] {
        if let Err(fault) = render_all(workspace, source, &draft, &uses, customer) {
            faults.push(fault);
            break;
        }
    }
    let compiled = match mjml::compile(source) {
        Ok(compiled) => compiled,
        Err(fault) => {
            faults.push(fault);
            return Err(faults);
        }
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    warnings.extend(compiled.warnings);
    let mut first = None;
    for customer in [Customer::WellKnown, Customer::Stranger] {
        let rendered = render_all(workspace, source, &compiled.mail, &uses, customer)
            .map_err(|fault| vec![fault])?;
        for (used, rendered) in uses.iter().zip(&rendered) {
            faults.extend(missing(workspace, source, used, rendered));
        }
        if uses.is_empty()
            && source.id == workspace.settings.confirmation_mail
            && let Some(rendered) = rendered.first()
            && !links_to_sample(&rendered.html)
        {
            faults.push(fault(
                source,
                "no `{{ links.confirm }}`",
                "the link that confirms, in the confirmation mail",
            ));
        }
        first = first.or_else(|| rendered.into_iter().next());
    }
    match first {
        Some(rendered) if faults.is_empty() => {
            if rendered.html.len() > CLIPPED_BYTES {
                let found = format!("{} KB of HTML", rendered.html.len() / 1024);
                warnings.push(fault(source, found, "less than 100 KB: Gmail cuts off the rest"));
            }
            Ok((compiled.mail, rendered))
        }
        _ => {
            // Both customers lack the same.
            faults.sort();
            faults.dedup();
            Err(faults)
        }
    }
}

/// The sends of a mail, one for each topic and trigger.
fn uses<'w>(workspace: &'w Workspace, mail: &MailId) -> Vec<Use<'w>> {
    let mut uses: Vec<Use<'w>> = Vec::new();
    for file in workspace.journeys.values() {
        for step in file.journey.steps.values() {
            let StepKind::Send { mail: sent, topic, .. } = &step.kind else { continue };
            let Some(known) = workspace.settings.topics.get(topic) else { continue };
            if sent == mail {
                let trigger = Some(&file.journey.trigger);
                uses.push(Use { topic, title: &known.title, kind: known.kind, trigger });
            }
        }
    }
    uses
}

/// Renders a mail for each of its uses; a mail without any as the confirmation mail is.
fn render_all(
    workspace: &Workspace,
    source: &MailSource,
    mail: &Mail,
    uses: &[Use<'_>],
    customer: Customer,
) -> Result<Vec<Rendered>, Fault> {
    let brand = &workspace.settings.brand;
    let place = |error: RenderError| render_fault(source, mail, error);
    let template = Template::compile(mail, brand).map_err(place)?;
    let view = sample::profile(customer, &workspace.settings.computed_traits);
    if uses.is_empty() {
        let Some((topic, known)) = workspace.settings.topics.iter().next() else {
            return Ok(Vec::new());
        };
        let is_confirmation = source.id == workspace.settings.confirmation_mail;
        let links = if is_confirmation {
            Links::Confirm(SAMPLE_LINK.to_owned())
        } else {
            Links::Unsubscribe(SAMPLE_LINK.to_owned())
        };
        let context = Context {
            profile: (!is_confirmation).then_some(&view),
            trigger: &sample::trigger(None, customer),
            brand,
            topic: (topic, &known.title),
            links: &links,
        };
        return template.render(&context).map(|rendered| vec![rendered]).map_err(place);
    }
    let links = Links::Unsubscribe(SAMPLE_LINK.to_owned());
    uses.iter()
        .map(|used| {
            let context = Context {
                profile: Some(&view),
                trigger: &sample::trigger(used.trigger, customer),
                brand,
                topic: (used.topic, used.title),
                links: &links,
            };
            template.render(&context).map_err(place)
        })
        .collect()
}

/// What a marketing mail lacks.
fn missing(
    workspace: &Workspace,
    source: &MailSource,
    used: &Use<'_>,
    rendered: &Rendered,
) -> Vec<Fault> {
    if used.kind != TopicKind::Marketing {
        return Vec::new();
    }
    let topic = used.topic;
    let mut faults = Vec::new();
    for (part, text) in [("HTML", &rendered.html), ("text", &rendered.text)] {
        let linked =
            if part == "HTML" { links_to_sample(text) } else { text.contains(SAMPLE_LINK) };
        if !linked {
            faults.push(fault(
                source,
                format!("a {part} part without `{{{{ links.unsubscribe }}}}`"),
                format!("an unsubscribe link, since `{topic}` is a marketing topic"),
            ));
        }
        if !shows(text, &workspace.settings.brand.postal_address) {
            faults.push(fault(
                source,
                format!("a {part} part without `{{{{ brand.postal_address }}}}`"),
                format!("the postal address, since `{topic}` is a marketing topic"),
            ));
        }
    }
    faults
}

/// Whether some element's `href` is the link.
fn links_to_sample(html: &str) -> bool {
    html.match_indices(SAMPLE_MARK).any(|(at, _)| {
        html.get(..at).and_then(|before| before.rsplit(['<', '>', ' ']).next()).is_some_and(
            |attribute| attribute.starts_with("href=\"") || attribute.starts_with("href='"),
        )
    })
}

/// Whether a part shows a text, however it is escaped and broken into lines.
fn shows(part: &str, text: &str) -> bool {
    let letters = |text: &str| -> String {
        let plain = odyssey_domain::workspace::plain_text(text);
        plain.chars().filter(|c| c.is_alphanumeric()).collect()
    };
    letters(part).contains(&letters(text))
}

fn fault(source: &MailSource, found: impl Into<String>, expected: impl Into<String>) -> Fault {
    Fault {
        file: source.file.clone(),
        place: Place::START.down(source.lines_before),
        found: found.into(),
        expected: expected.into(),
        hint: None,
    }
}

/// A failed rendering with the author's own file and line.
fn render_fault(source: &MailSource, mail: &Mail, error: RenderError) -> Fault {
    let RenderError::Template { part, line, cause, .. } = error else {
        return fault(source, error.to_string(), "a mail that can be rendered");
    };
    let line = u32::try_from(line.max(1)).unwrap_or(u32::MAX);
    let in_file = |line| Place { line, column: 1 };
    let (file, place) = match part {
        Part::Subject => (source.file.clone(), source.subject_place),
        Part::Preview => (source.file.clone(), source.preview_place),
        // Only the author's own text has the author's own lines.
        Part::Html if mail.html == source.mjml => {
            (source.file.clone(), in_file(line).down(source.lines_before))
        }
        Part::Text if source.text.is_some() => {
            let file = source.text.as_ref().map(|(file, _)| file.clone());
            (file.unwrap_or_default(), in_file(line))
        }
        Part::Html | Part::Text => (source.file.clone(), Place::START.down(source.lines_before)),
    };
    let undefined = cause.ends_with("is undefined");
    let hint = undefined.then(|| {
        "not every customer has it: give a default, as {{ profile.first_name | default(\"you\") }}, or ask with {% if %}"
            .to_owned()
    });
    let expected = if undefined {
        "values that every customer of the journey has"
    } else {
        "a template that renders"
    };
    Fault { file, place, found: cause, expected: expected.to_owned(), hint }
}

fn unused_mails(workspace: &Workspace, warnings: &mut Vec<Fault>) {
    for source in workspace.mails.values() {
        let unused = source.id != workspace.settings.confirmation_mail
            && workspace.topics_of(&source.id).is_empty();
        if unused {
            warnings.push(fault(source, "a mail that no journey sends", "a step that sends it"));
        }
    }
}
