//! `odyssey audit` on exports as they come, and on hostile ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::audit::columns::Role;
use odyssey::audit::rows::Told;
use odyssey::audit::source::LINE_BYTES_MAX;
use odyssey::audit::{Report, audit, rules, tell};
use odyssey::screen::Screen;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn storefront() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/storefront")
}

/// Audits a file with this content.
fn of(name: &str, content: &[u8]) -> Report {
    told(name, content, &Told::default()).unwrap()
}

fn told(name: &str, content: &[u8], told: &Told) -> Result<Report, odyssey::Failure> {
    against(&storefront(), name, content, told)
}

fn against(
    workspace: &Path,
    name: &str,
    content: &[u8],
    told: &Told,
) -> Result<Report, odyssey::Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    audit(&path, told, &rules(Some(workspace)).unwrap())
}

fn shown(report: &Report) -> String {
    tell::lines(&Screen::new(), report).join("\n")
}

fn call(kind: &str, who: &str, at: &str, fields: &Value) -> Value {
    let mut call = json!({"type": kind, "userId": who, "timestamp": at,
        "messageId": format!("{who}-{at}-{kind}")});
    for (name, value) in fields.as_object().unwrap() {
        call[name] = value.clone();
    }
    call
}

/// A small shop's export: one who abandons a cart, one who buys, one who is nobody yet, and a shop
/// that calls things by its own names.
fn export() -> String {
    let tent =
        json!({"product_id": "p1", "name": "Tent", "price": 199, "currency": "EUR", "quantity": 1});
    let order =
        json!({"order_id": "o1", "total": 199, "currency": "EUR", "products": [tent.clone()]});
    let mut all = vec![
        json!({"type": "track", "anonymousId": "d1", "timestamp": "2026-03-01T09:00:00Z",
            "event": "Product Viewed", "properties": tent}),
        call(
            "identify",
            "ann",
            "2026-03-01T09:05:00Z",
            &json!({"anonymousId": "d1", "traits": {"email": "ann@example.com", "newsletter": true}}),
        ),
        call(
            "track",
            "ann",
            "2026-03-01T09:06:00Z",
            &json!({"event": "Product Added", "properties": tent}),
        ),
        call(
            "identify",
            "bob",
            "2026-03-01T10:00:00Z",
            &json!({"traits": {"email": "bob@example.com"}}),
        ),
        call(
            "track",
            "bob",
            "2026-03-01T10:01:00Z",
            &json!({"event": "Product Added", "properties": tent}),
        ),
        call(
            "track",
            "bob",
            "2026-03-01T10:09:00Z",
            &json!({"event": "Order Completed", "properties": order}),
        ),
        call(
            "track",
            "bob",
            "2026-03-01T10:09:00Z",
            &json!({"event": "Order Completed", "properties": order}),
        ),
        json!({"type": "page", "anonymousId": "d2", "timestamp": "2026-03-02T08:00:00Z", "properties": {"path": "/"}}),
        call(
            "track",
            "cal",
            "2026-03-02T08:30:00Z",
            &json!({"event": "begin_checkout", "properties": {}}),
        ),
        call(
            "track",
            "cal",
            "2026-03-02T08:31:00Z",
            &json!({"event": "Quote Requested", "properties": {}}),
        ),
    ];
    // Long enough that silences are over.
    all.push(call(
        "track",
        "cal",
        "2026-03-04T08:00:00Z",
        &json!({"event": "Quote Requested", "properties": {}}),
    ));
    all.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

#[test]
fn an_export_is_explained() {
    let report = of("export.jsonl", export().as_bytes());
    insta::assert_snapshot!("export", shown(&report));
    insta::assert_snapshot!("export_json", serde_json::to_string_pretty(&report).unwrap());
}

/// The storefront with journeys that segments start or let in, which ask for consent or do not.
fn with_journeys_of_segments() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in odyssey::publish::directory::read(&storefront()).unwrap() {
        let (path, text) = name;
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let at_risk = "{segment: at-risk}";
    for (name, trigger, filter) in [
        ("win-back", "{signal: Segment Entered, segment: at-risk}", None),
        ("best", "{signal: Segment Entered, segment: vip}", None),
        ("ordered", "{event: Order Completed}", Some(at_risk)),
        ("looked", "{event: Product Viewed}", Some(at_risk)),
    ] {
        let filter = filter.map(|filter| format!("entry_filter: {filter}\n")).unwrap_or_default();
        let text = format!(
            "name: {name}\ndescription: D.\nstate: live\ntrigger: {trigger}\n{filter}steps:\n  - {{id: s, send: browse-nudge, topic: offers}}\n"
        );
        std::fs::write(folder.path().join(format!("journeys/{name}.yaml")), text).unwrap();
    }
    folder
}

#[test]
fn who_consents_is_not_known_from_a_file() {
    let order = |id: &str, day: &str| {
        let properties = json!({"order_id": id, "total": 300, "currency": "EUR"});
        call("track", "ann", day, &json!({"event": "Order Completed", "properties": properties}))
    };
    // With a consent she would be at risk in the end; the two orders make her one of the best.
    let later = call("track", "ann", "2026-06-01T10:00:00Z", &json!({"event": "Signed In"}));
    let lines = [order("1", "2026-01-01T10:00:00Z"), order("2", "2026-02-01T10:00:00Z"), later];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let workspace = with_journeys_of_segments();
    let report =
        against(workspace.path(), "orders.jsonl", lines.as_bytes(), &Told::default()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["segments"],
        json!([
            {"segment": "at-risk", "customers": null, "unknown": "not known from a file: it asks for consent"},
            {"segment": "vip", "customers": 1},
        ])
    );
    let of = |name: &str| report.journeys.iter().find(|part| part.journey == name).unwrap();
    let why = "not known from a file: the segment at-risk asks for consent";
    for name in ["win-back", "ordered"] {
        let part = of(name);
        assert_eq!((part.customers, part.unknown.as_deref()), (None, Some(why)), "{name}");
        assert_eq!((&part.missing, part.renamed), (&None, None), "{name}");
    }
    assert_eq!(of("best").customers, Some(1));
    // Whatever the filter says: nobody ever asks it.
    assert_eq!(of("looked").customers, Some(0));
    assert_eq!(of("looked").missing.as_deref(), Some("needs `Product Viewed`"));
    let shown = shown(&report);
    assert!(shown.contains("?  not known from a file: it asks for consent\n"), "{shown}");
    assert!(shown.contains(&format!("?  {why}\n")), "{shown}");
}

/// A profile that comes into being with an event enters what the event lets it in.
#[test]
fn the_first_event_enters_a_segment() {
    let order = json!({"order_id": "1", "total": 600, "currency": "EUR"});
    let order = json!({"event": "Order Completed", "properties": order});
    let line = call("track", "ann", "2026-01-01T10:00:00Z", &order).to_string();
    let workspace = with_journeys_of_segments();
    let report =
        against(workspace.path(), "order.jsonl", line.as_bytes(), &Told::default()).unwrap();
    let best = report.journeys.iter().find(|part| part.journey == "best").unwrap();
    assert_eq!(best.customers, Some(1), "{best:?}");
}

#[test]
fn gzip_a_mark_and_windows_line_ends_make_no_difference() {
    let plain = export();
    let expected = Report { file: String::new(), ..of("a.jsonl", plain.as_bytes()) };
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(plain.as_bytes()).unwrap();
    let mut two = zipped.finish().unwrap();
    // Two members in one file, as `cat a.gz b.gz` makes them.
    let mut second = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    second.write_all(b"\n\n").unwrap();
    two.extend(second.finish().unwrap());
    let marked = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let list = format!("[\n{}]\n", plain.replace("}\n", "},\n"));
    for (name, content) in
        [("b.gz", two.as_slice()), ("c.jsonl", marked.as_bytes()), ("d.json", list.as_bytes())]
    {
        let report = of(name, content);
        assert_eq!(Report { file: String::new(), ..report }, expected, "{name}");
    }
}

#[test]
fn a_file_that_ends_in_the_middle_is_told() {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    zipped.write_all(export().repeat(200).as_bytes()).unwrap();
    let whole = zipped.finish().unwrap();
    let report = of("cut.gz", &whole[..whole.len() / 2]);
    assert!(report.broken.is_some() && report.events > 0, "{:?}", report.broken);
    assert!(shown(&report).contains("could not be read past line"));
}

#[test]
fn columns_are_events() {
    let csv = "\u{feff}event;timestamp;customer_id;email;price;product_id;note\r\n\
        Product Added;2026-03-01T09:00:00Z;17;ann@example.com;199;p1;\"two\r\nlines; and \"\"quotes\"\"\"\r\n\
        Added to cart;2026-03-01T10:00:00Z;18;;5;p2;\r\n\
        Product Added;soon;19;;5;p2;\r\n\
        Product Added;2026-03-03T10:00:00Z;;;5;p2;\r\n";
    let report = of("export.csv", csv.as_bytes());
    insta::assert_snapshot!("columns", shown(&report));
    assert_eq!(report.bad_lines.iter().map(|bad| bad.line).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn rows_without_names_are_what_they_are_said_to_be() {
    let csv = b"InvoiceNo,InvoiceDate,CustomerID,Sum\n7,20260301,17,20\n8,2026-03-04,17,30\n";
    let refused = told("orders.csv", csv, &Told::default()).unwrap_err().to_string();
    assert!(refused.contains("no column with the event's name"), "{refused}");
    let say = Told {
        columns: vec![(Role::Time, "InvoiceDate".to_owned())],
        event: Some("Order Completed".to_owned()),
    };
    let report = told("orders.csv", csv, &say).unwrap();
    assert_eq!((report.events, report.customers.customers, report.bad), (2, 1, 0));
    assert_eq!(report.from.as_deref(), Some("2026-03-01T00:00:00.000Z"));
    let say = Told { columns: vec![(Role::Time, "When".to_owned())], event: None };
    assert!(told("orders.csv", csv, &say).unwrap_err().to_string().contains("no such column"));
}

#[test]
fn hostile_lines_are_counted_and_passed_over() {
    let good = call("track", "ann", "2026-03-01T09:00:00Z", &json!({"event": "A"})).to_string();
    let mut file: Vec<u8> = Vec::new();
    let mut add = |line: &[u8]| {
        file.extend_from_slice(line);
        file.push(b'\n');
    };
    add(&vec![b'{'; LINE_BYTES_MAX + 1]);
    add(good.as_bytes());
    add("[".repeat(100_000).as_bytes());
    add(b"\x00\x01\x02");
    add(&[good.as_bytes(), b"\xff"].concat());
    add(good.replace('A', "\u{0}").as_bytes());
    add(b"{\"type\":\"track\",\"event\":\"\xff\xfe\",\"userId\":\"bob\",\"timestamp\":5}");
    add(good.replace("\"A\"", &format!("\"{}\"", "A".repeat(600))).as_bytes());
    add(good.replace("\"ann\"", "null").as_bytes());
    add(b"");
    file.extend_from_slice(good.as_bytes());
    let report = of("hostile.jsonl", &file);
    assert_eq!((report.records, report.events, report.bad), (10, 3, 7));
    assert_eq!(report.bad_lines[0].line, 1);
    assert!(report.bad_lines[0].reason.starts_with("a line of more than"));
    insta::assert_snapshot!("hostile", shown(&report));
}

#[test]
fn hostile_rows_are_counted_and_passed_over() {
    let head = "event,timestamp,user_id,note\n";
    let good = "A,2026-03-01T09:00:00Z,ann,x\n";
    let wide = format!("A,2026-03-01T09:00:00Z,ann{}\n", ",1".repeat(20_000));
    let long = format!("A,2026-03-01T09:00:00Z,ann,\"{}\"\n", "x\n".repeat(LINE_BYTES_MAX / 2 + 1));
    let open = format!("A,2026-03-01T09:00:00Z,ann,\"never closed\n{}", good.repeat(50_000));
    let report =
        of("hostile.csv", format!("{head}{good}{wide}{good}{long}{good}{good}").as_bytes());
    assert_eq!((report.records, report.events, report.bad), (6, 4, 2));
    // A quote that is not closed takes the rest with it, and that is said.
    let report = of("open.csv", format!("{head}{good}{open}").as_bytes());
    assert_eq!((report.events, report.bad), (1, 1), "{:?}", report.bad_lines);
    assert!(report.bad_lines[0].reason.contains("is a quote not closed?"));
    // Ten thousand columns: the first thousand are read.
    let names: String = (0..10_000).fold(String::new(), |mut names, n| {
        write!(names, ",c{n}").unwrap();
        names
    });
    let values = ",1".repeat(10_000);
    let many = format!("event,timestamp,user_id{names}\nA,2026-03-01T09:00:00Z,ann{values}\n");
    let report = of("many.csv", many.as_bytes());
    assert_eq!((report.events, report.columns_beyond), (1, 9_003));
}

#[test]
fn other_encodings_and_empty_files_are_told() {
    let wide: Vec<u8> = "\u{feff}event,time\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = told("wide.csv", &wide, &Told::default()).unwrap_err().to_string();
    assert!(refused.contains("UTF-16"), "{refused}");
    let report = of("empty.jsonl", b"");
    assert_eq!((report.records, report.events), (0, 0));
    assert!(shown(&report).contains("0 events of 0 customers"));
}

/// Payloads of the Segment Spec and requests of real SDKs, which come with this project's CI and
/// not with the project.
#[test]
fn real_payloads_are_understood() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("SKIPPED: the folder ../shared/data is not here");
        return;
    }
    let mut lines = String::new();
    let mut requests = 0;
    for folder in std::fs::read_dir(data.join("segment-clients")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let request: Value =
                serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap())
                    .unwrap();
            if let Some(body) = request.get("body").filter(|body| body.is_object()) {
                writeln!(lines, "{body}").unwrap();
                requests += 1;
            }
        }
    }
    let report = of("clients.jsonl", lines.as_bytes());
    assert!(requests > 0 && report.records == requests);
    assert!(report.events > 0, "{report:?}");
    let sessions =
        std::fs::read(data.join("online-shoppers/online_shoppers_intention.csv")).unwrap();
    let refused = told("sessions.csv", &sessions, &Told::default()).unwrap_err().to_string();
    assert!(refused.contains("its 18 columns are"), "{refused}");
}
