//! The text part of a mail, made from its HTML part.

/// Elements whose content a reader never sees.
const HIDDEN: [&str; 4] = ["head", "style", "script", "title"];
/// Elements that begin a line of their own.
const BLOCKS: [&str; 12] =
    ["p", "div", "table", "tr", "h1", "h2", "h3", "h4", "ul", "ol", "li", "section"];

/// What a reader would see of `html`, as plain text: one line per block, links with their address
/// in brackets, comments and styles left out. Text between the tags is kept as it stands, so that
/// opaque markers survive.
#[must_use]
pub fn plain_text(html: &str) -> String {
    let mut out = Lines::default();
    let mut links: Vec<(String, usize)> = Vec::new();
    let mut hidden: Option<&str> = None;
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let (text, tag) = rest.split_at(open);
        if hidden.is_none() {
            out.text(text);
        }
        if let Some(comment) = tag.strip_prefix("<!--") {
            // Outlook's conditional comments end like any other for everybody else.
            rest = comment.find("-->").and_then(|end| comment.get(end + 3..)).unwrap_or("");
            continue;
        }
        let Some((inside, after)) = split_tag(tag) else {
            rest = "";
            break;
        };
        rest = after;
        let closing = inside.starts_with('/');
        let name = inside.trim_start_matches('/');
        let name: String = name
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        match hidden {
            Some(inside) if closing && inside == name => hidden = None,
            None if !closing && !tag_is_empty(inside) => {
                hidden = HIDDEN.into_iter().find(|hidden| *hidden == name);
            }
            Some(_) | None => {}
        }
        if hidden.is_some() {
            continue;
        }
        match (name.as_str(), closing) {
            ("br", _) => out.line(),
            ("a", false) => {
                links.push((attribute(inside, "href").unwrap_or_default(), out.length()));
            }
            ("a", true) => {
                if let Some((address, start)) = links.pop() {
                    out.address(&address, start);
                }
            }
            ("img", _) => {
                if let Some(alt) = attribute(inside, "alt") {
                    out.text(&alt);
                }
            }
            ("td", true) => out.text(" "),
            ("li", false) => {
                out.line();
                out.text("- ");
            }
            (name, _) if BLOCKS.contains(&name) => out.line(),
            _ => {}
        }
    }
    if hidden.is_none() {
        out.text(rest);
    }
    out.finish()
}

/// A tag without its angle brackets, and what follows it; quoted values may hold a `>`.
fn split_tag(tag: &str) -> Option<(&str, &str)> {
    let mut quote: Option<char> = None;
    for (at, c) in tag.char_indices().skip(1) {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '>' => return Some((tag.get(1..at)?, tag.get(at + 1..)?)),
            Some(_) | None => {}
        }
    }
    None
}

fn tag_is_empty(inside: &str) -> bool {
    inside.ends_with('/')
}

fn attribute(inside: &str, name: &str) -> Option<String> {
    let at = inside.find(&format!(" {name}="))?;
    let value = inside.get(at + name.len() + 2..)?;
    let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let value = value.get(1..)?;
    let value = value.get(..value.find(quote)?)?;
    Some(unescape(value)).filter(|value| !value.is_empty())
}

/// Text as it grows, white space folded.
#[derive(Default)]
struct Lines {
    out: String,
}

impl Lines {
    fn text(&mut self, text: &str) {
        for c in unescape(text).chars() {
            if c.is_whitespace() || is_invisible(c) {
                if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                    self.out.push(' ');
                }
            } else {
                self.out.push(c);
            }
        }
    }

    fn line(&mut self) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn length(&self) -> usize {
        self.out.len()
    }

    fn address(&mut self, address: &str, start: usize) {
        let label = self.out.get(start..).unwrap_or("").trim();
        if address.is_empty() || address.starts_with('#') || label == address {
            return;
        }
        if label.is_empty() {
            self.text(address);
        } else {
            while self.out.ends_with([' ', '\n']) {
                self.out.pop();
            }
            self.text(" (");
            self.text(address);
            self.text(")");
        }
    }

    fn finish(self) -> String {
        let mut text = self.out.trim().to_owned();
        text.push('\n');
        text
    }
}

/// Characters that previews and spacers are padded with.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2000}'..='\u{200d}' | '\u{feff}' | '\u{34f}')
}

/// Entities that mails use; `&amp;` last, so that nothing is undone twice.
const ENTITIES: [(&str, &str); 22] = [
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&middot;", "·"),
    ("&bull;", "•"),
    ("&copy;", "©"),
    ("&times;", "×"),
    ("&euro;", "€"),
    ("&hellip;", "…"),
    ("&mdash;", "—"),
    ("&ndash;", "–"),
    ("&ldquo;", "“"),
    ("&rdquo;", "”"),
    ("&bdquo;", "„"),
    ("&lsquo;", "‘"),
    ("&rsquo;", "’"),
    ("&rarr;", "→"),
    ("&zwnj;", ""),
    ("&shy;", ""),
    ("&amp;", "&"),
];

fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let named =
        ENTITIES.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain));
    numbered(&named)
}

/// `&#8202;` and `&#x2f;` as the characters they stand for.
fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let end = entity.find(';').filter(|end| *end <= 9);
        let body = end.and_then(|end| entity.get(2..end)).unwrap_or("");
        let number = match body.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => body.parse::<u32>().ok(),
        };
        if let (Some(c), Some(end)) = (number.and_then(char::from_u32), end) {
            out.push(c);
            rest = entity.get(end + 1..).unwrap_or("");
        } else {
            out.push_str("&#");
            rest = entity.get(2..).unwrap_or("");
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_sees() {
        let html = "<html><head><title>T</title><style>a>b{}</style></head><body>\
            <!--[if mso]><table><tr><td><![endif]--><div>Hello&nbsp;<b>you</b>,</div>\
            <p>see <a href=\"https://x.example/?a=1&amp;b=2\">your cart</a>.</p>\
            <a href='https://x.example'>https://x.example</a><br/><img src=\"x\" alt=\"A > B\"></body>";
        assert_eq!(
            plain_text(html),
            "Hello you,\n\nsee your cart (https://x.example/?a=1&b=2).\nhttps://x.example\nA > B\n"
        );
    }

    #[test]
    fn broken_html_is_no_panic() {
        for html in ["<", "<a", "<a href='", "</", "<!--", "<style>", "a<b", "", "ü<é ü>"] {
            assert!(plain_text(html).ends_with('\n'));
        }
    }
}
