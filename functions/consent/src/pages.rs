//! The pages behind the links: one style, no script, nothing from outside.
//!
//! They say nothing of the address: whoever holds the link sees the topic and the brand. A GET
//! shows a form and changes nothing, because mail scanners follow links; the form posts to the
//! page's own URL.

use odyssey_aws::lambda::HttpResponse;

/// The style of every page. Its hash is [`STYLE_HASH`].
const STYLE: &str = include_str!("page.css");
/// SHA-256 of [`STYLE`] in base64, for the content security policy; a test holds it.
const STYLE_HASH: &str = "WhOJ624e19SkBPX6ldF9cQQ0ceczSjRKou/Mdn9I2m8=";

/// What a page shows.
pub(crate) struct Page<'a> {
    /// The browser's title and the heading.
    pub(crate) title: &'a str,
    /// What there is to know.
    pub(crate) text: &'a str,
    /// What can be done; none where it is done.
    pub(crate) action: Option<Action<'a>>,
    /// A last line, small.
    pub(crate) note: &'a str,
    /// Whose page it is.
    pub(crate) brand: Option<(&'a str, &'a str)>,
}

/// A button that posts.
pub(crate) struct Action<'a> {
    /// Its label.
    pub(crate) label: &'a str,
    /// Which style it has.
    pub(crate) tone: Tone,
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A welcome.
    Welcome,
    /// A farewell.
    Farewell,
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A page with the headers every page has.
pub(crate) fn page(status: u16, page: &Page<'_>) -> HttpResponse {
    let title = escaped(page.title);
    let text = escaped(page.text);
    let action = page.action.as_ref().map_or_else(String::new, |action| {
        let tone = match action.tone {
            Tone::Welcome => "welcome",
            Tone::Farewell => "farewell",
        };
        format!(
            "<form method=\"post\"><input type=\"hidden\" name=\"page\" value=\"yes\">\
             <button class=\"{tone}\" type=\"submit\">{}</button></form>",
            escaped(action.label)
        )
    });
    let note = match page.note {
        "" => String::new(),
        note => format!("<p class=\"note\">{}</p>", escaped(note)),
    };
    let (brand, foot) = page.brand.map_or_else(Default::default, |(name, website)| {
        let web = website.starts_with("https://") || website.starts_with("http://");
        let name = escaped(name);
        let foot = if web {
            format!(
                "<footer><a href=\"{}\" rel=\"noreferrer\">{name}</a></footer>",
                escaped(website)
            )
        } else {
            String::new()
        };
        (format!("<p class=\"brand\">{name}</p>"), foot)
    });
    // What was done is announced by screen readers; what can be done waits to be read.
    let role = if page.action.is_none() { " role=\"status\"" } else { "" };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main{role}>{brand}\
         <h1>{title}</h1><p>{text}</p>{action}{note}</main>{foot}</body></html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    HttpResponse::html(status, html)
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with("cache-control", "no-store")
        .with("x-content-type-options", "nosniff")
        .with("x-robots-tag", "noindex")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn the_policy_names_the_style() {
        let hash = data_encoding::BASE64.encode(&sha2::Sha256::digest(STYLE.as_bytes()));
        assert_eq!(STYLE_HASH, hash);
    }

    #[test]
    fn names_are_no_markup_and_nothing_comes_from_outside() {
        let answer = page(
            200,
            &Page {
                title: "<b>\"Offers\"</b>",
                text: "a & b",
                action: Some(Action { label: "<go>", tone: Tone::Welcome }),
                note: "",
                brand: Some(("<i>", "javascript:alert(1)")),
            },
        );
        for part in ["<b>", "<go>", "<i>", "javascript", "<script", "src=", "url("] {
            assert!(!answer.body.contains(part), "{part}");
        }
        assert!(answer.body.contains("&lt;b&gt;&quot;Offers&quot;"));
        for name in ["content-security-policy", "referrer-policy", "cache-control"] {
            assert!(answer.headers.contains_key(name), "{name}");
        }
    }
}
