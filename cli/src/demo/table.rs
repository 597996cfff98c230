//! What came of everybody, as a table that a terminal of a hundred columns holds.

use super::evidence;
use super::outcome::Judged;
use super::telling::Heard;
use crate::screen::{Screen, Style};

/// The widest line of the table.
const WIDTH: usize = 100;
/// What stands before each line of it.
const LEAD: usize = 7;
/// Columns of the table, and how wide each may be.
const COLUMNS: [(&str, usize); 4] =
    [("customer", 22), ("mails", 20), ("decided against", 22), ("journeys", 22)];

/// A text on as many lines as it takes, broken at spaces; what goes on is moved in.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A customer's row: the lines of each cell.
fn cells(one: &Judged) -> [Vec<String>; COLUMNS.len()] {
    let or_dash =
        |lines: Vec<String>| if lines.is_empty() { vec!["–".to_owned()] } else { lines };
    let skips = one.skips.iter().map(|(mail, code)| format!("{mail}: {code}")).collect();
    let journeys = one.journeys.iter().map(|(name, how)| format!("{name}: {how}")).collect();
    let mut cells = [
        vec![one.who.clone(), one.story.clone()],
        or_dash(one.mails.clone()),
        or_dash(skips),
        or_dash(journeys),
    ];
    for (cell, (_, width)) in cells.iter_mut().zip(COLUMNS) {
        *cell = cell.iter().flat_map(|line| wrap(line, width)).collect();
    }
    cells
}

/// A signal with what it was decided on, as far as the table's width goes.
fn signal_line(screen: &Screen, one: &Heard) -> String {
    let room = WIDTH.saturating_sub(LEAD + one.signal.chars().count() + 2);
    let shown = evidence::short(&one.evidence, room);
    let name = screen.paint(Style::Name, &one.signal);
    format!("{}{name}: {}", " ".repeat(LEAD), screen.paint(Style::Faint, &shown))
}

/// The table: a row for each customer, and beneath it the signals of theirs.
pub(super) fn table(screen: &Screen, judged: &[Judged]) -> Vec<String> {
    let rows: Vec<_> = judged.iter().map(cells).collect();
    let mut widths = COLUMNS.map(|(head, _)| head.len());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let longest = cell.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            *width = (*width).max(longest);
        }
    }
    let line = |cells: [&str; COLUMNS.len()]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let heads = line(COLUMNS.map(|(head, _)| head));
    let mut out = vec![screen.paint(Style::Strong, &format!("{}{heads}", " ".repeat(LEAD)))];
    for (row, one) in rows.iter().zip(judged) {
        let (style, verdict) =
            if one.is_right() { (Style::Good, "right") } else { (Style::Bad, "wrong") };
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let word = if at == 0 { verdict } else { "" };
            let lead = screen.paint(style, &format!("{word:<LEAD$}"));
            let cells = row.each_ref().map(|cell| cell.get(at).map_or("", String::as_str));
            out.push(format!("{lead}{}", line(cells)));
        }
        out.extend(one.signals.iter().map(|signal| signal_line(screen, signal)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::eva;
    use super::*;

    #[test]
    fn a_row_shows_what_signals_were_decided_on_in_a_hundred_columns() {
        let lines = table(&Screen::new(), &[eva()]);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        let shown = lines.join("\n");
        let cart =
            "       Cart Abandoned: items 3, lines 1 × Skerry two-person tent + 2 × Ember gas";
        assert!(shown.contains(cart), "{shown}");
        assert!(shown.contains("       First Purchase: order 1"), "{shown}");
        assert!(shown.contains("  consent_withdrawn"), "{shown}");
    }
}
