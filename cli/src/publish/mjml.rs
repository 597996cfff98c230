//! From a mail's files to a mail that can be sent: MJML to HTML with Jinja tags left in place.

use super::markers::{self, Marked};
use mrml::prelude::parser::Error as ParseError;
use mrml::prelude::render::RenderOptions;
use odyssey_domain::message::Mail;
use odyssey_domain::workspace::{Fault, MailSource, Place, nearest, plain_text};

/// The elements of MJML that the compiler knows.
const ELEMENTS: &[&str] = &[
    "mjml",
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
];

/// A compiled mail, and what the compiler wondered about.
#[derive(Debug)]
pub struct Compiled {
    /// The mail.
    pub mail: Mail,
    /// Attributes that MJML does not know, by place: they are left out.
    pub warnings: Vec<Fault>,
}

/// Compiles a mail.
///
/// # Errors
/// Where the MJML or a Jinja tag in it is malformed: with the place in the author's own file.
pub fn compile(source: &MailSource) -> Result<Compiled, Fault> {
    let at = |byte: usize| Place::of_byte(&source.mjml, byte).down(source.lines_before);
    let fault = |place, found: String, expected: String, hint: Option<String>| Fault {
        file: source.file.clone(),
        place,
        found,
        expected,
        hint,
    };
    let marked =
        markers::mark(&source.mjml).map_err(|e| fault(at(e.at), e.found, e.expected, None))?;
    // The compiler takes an unknown element for HTML and leaves it in the mail.
    let strange =
        |(name, _): &&(String, usize)| name.starts_with("mj") && !ELEMENTS.contains(&name.as_str());
    if let Some((name, byte)) = marked.elements.iter().find(strange) {
        let hint = nearest(name, ELEMENTS.iter().copied()).map(|n| format!("did you mean `{n}`?"));
        let expected = "an element of MJML".to_owned();
        return Err(fault(at(*byte), format!("`<{name}>`"), expected, hint));
    }
    let parsed = mrml::parse(&marked.text).map_err(|error| {
        let (byte, found, expected, hint) = explain(&marked, &error);
        fault(at(marked.source_byte(byte)), found, expected, hint)
    })?;
    let warnings = parsed
        .warnings
        .iter()
        .map(|warning| {
            let found = piece(&marked.text, warning.span.start);
            let place = at(marked.source_byte(warning.span.start));
            let expected = format!("an attribute that MJML knows here ({})", warning.kind);
            fault(place, format!("`{found}`"), expected, None)
        })
        .collect();
    let options = RenderOptions {
        disable_comments: true,
        // No font is fetched from anybody's server when a mail is opened.
        fonts: std::iter::empty().collect(),
        ..RenderOptions::default()
    };
    let html = parsed.element.render(&options).map_err(|error| {
        let found = format!("MJML that cannot be laid out ({error})");
        fault(at(0), found, "widths in px or %".to_owned(), None)
    })?;
    if let Some(lost) = marked.lost(&html).first() {
        let found = format!("`{}`, which does not reach the mail", lost.text);
        let expected = "placeholders in text or in attributes that are kept".to_owned();
        return Err(fault(at(lost.at), found, expected, None));
    }
    let text = match &source.text {
        Some((_, text)) => text.clone(),
        None => marked.restore_lines(&plain_text(&html)),
    };
    let mail = Mail {
        id: source.id.clone(),
        subject: source.subject.clone(),
        preview: source.preview.clone(),
        html: marked.restore(&html),
        text,
    };
    Ok(Compiled { mail, warnings })
}

/// The place in the marked text, what was found, what was expected, what was meant.
fn explain(marked: &Marked, error: &ParseError) -> (usize, String, String, Option<String>) {
    let text = &marked.text;
    match error {
        ParseError::UnexpectedElement { position, .. } => {
            let name = piece(text, position.start).trim_start_matches('<').to_owned();
            let hint = if ELEMENTS.contains(&name.as_str()) {
                None
            } else {
                nearest(&name, ELEMENTS.iter().copied()).map(|n| format!("did you mean `{n}`?"))
            };
            (
                position.start,
                format!("`<{name}>`"),
                "an element that may stand here".to_owned(),
                hint,
            )
        }
        ParseError::UnexpectedToken { position, .. } => {
            let found = format!("`{}`", piece(text, position.start));
            (position.start, found, "elements, not text, in this place".to_owned(), None)
        }
        ParseError::MissingAttribute { name, position, .. } => {
            let found = format!("`{}` without `{name}`", piece(text, position.start));
            (position.start, found, format!("an attribute `{name}`"), None)
        }
        ParseError::InvalidAttribute { position, .. }
        | ParseError::InvalidFormat { position, .. } => {
            let found = format!("`{}`", piece(text, position.start));
            (position.start, found, "a value of the form that MJML wants here".to_owned(), None)
        }
        ParseError::IncludeLoaderError { position, .. } => {
            let expected = "the text itself: mj-include is not supported".to_owned();
            (position.start, "`<mj-include>`".to_owned(), expected, None)
        }
        ParseError::ParserError { source, .. } => {
            let position = source.pos();
            let byte = byte_of(text, position.row, position.col);
            (byte, format!("text that is not XML ({source})"), "MJML".to_owned(), None)
        }
        ParseError::EndOfStream { .. } | ParseError::NoRootNode | ParseError::SizeLimit { .. } => {
            let expected = "`<mjml>` with `<mj-body>` in it".to_owned();
            (0, format!("no whole document ({error})"), expected, None)
        }
    }
}

fn byte_of(text: &str, row: u32, col: u32) -> usize {
    let (row, col) = (row.max(1) as usize, col.max(1) as usize);
    let before: usize = text.split_inclusive('\n').take(row - 1).map(str::len).sum();
    before + col - 1
}

/// The word at a byte.
fn piece(text: &str, byte: usize) -> &str {
    let rest = text.get(byte..).unwrap_or("");
    let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '=').unwrap_or(rest.len());
    let end = rest.char_indices().map(|(at, _)| at).nth(40).map_or(end, |at| at.min(end));
    rest.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::message::MailId;

    fn source(mjml: &str) -> MailSource {
        MailSource {
            id: MailId::parse("m").unwrap(),
            file: "mails/m.mjml".to_owned(),
            subject: "Hello".to_owned(),
            subject_place: Place::START,
            preview: String::new(),
            preview_place: Place::START,
            mjml: mjml.to_owned(),
            lines_before: 3,
            text: None,
        }
    }

    const MAIL: &str = "<mjml>\n<mj-body>\n{% if vip %}\n<mj-section><mj-column>\n\
        <mj-text>Hello {{ name | default(\"you\") }}, 1 &lt; 2</mj-text>\n\
        <mj-button href=\"{{ links[\"cart\"] }}\">See <b>it</b></mj-button>\n\
        </mj-column></mj-section>\n{% endif %}\n</mj-body>\n</mjml>\n";

    #[test]
    fn tags_survive_the_compiler() {
        let compiled = compile(&source(MAIL)).unwrap();
        let html = &compiled.mail.html;
        for tag in [
            "{% if vip %}",
            "{% endif %}",
            "{{ name | default(\"you\") }}",
            "{{ links[\"cart\"] }}",
        ] {
            assert!(html.contains(tag), "{tag}\n{html}");
        }
        assert!(!html.contains("jinjax"));
        assert!(html.contains("href=\"{{ links[\"cart\"] }}\""));
        let text = &compiled.mail.text;
        assert!(text.contains("Hello {{ name | default(\"you\") }}, 1 < 2"), "{text}");
        assert!(text.contains("See it ({{ links[\"cart\"] }})"), "{text}");
    }

    #[test]
    fn faults_name_the_authors_own_line() {
        let cases = [
            (
                MAIL.replace("mj-button", "mj-buton"),
                "mails/m.mjml:9:1: found `<mj-buton>`, expected an element of MJML; did you mean `mj-button`?",
            ),
            (
                MAIL.replace("</mj-text>", "</mj-txt>"),
                "mails/m.mjml:8:53: found `</mj-txt>`, expected `</mj-text>`, which is still open",
            ),
            (
                MAIL.replace("{% endif %}", "{% endif"),
                "mails/m.mjml:11:1: found `{%` without its end, expected `%}`",
            ),
            (
                MAIL.replace("<mj-section>", "<mj-section full=\"{{ x }}\">"),
                "mails/m.mjml:7:19: found `{{ x }}`, which does not reach the mail, expected placeholders in text or in attributes that are kept",
            ),
        ];
        for (mjml, expected) in cases {
            assert_eq!(compile(&source(&mjml)).unwrap_err().to_string(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(body in "(<mj-(section|column|text|raw|table)( [a-z]{1,5}=\"[a-z0-9]{0,3}\")?/?>|</mj-(section|column|text|raw|table)>|[a-z {}%]{0,5}){0,10}") {
            let _ = compile(&source(&format!("<mjml><mj-body>{body}</mj-body></mjml>")));
        }
    }
}
