//! ARCHITECTURE's table of stored items says what the code says.

use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::Contact;
use odyssey_domain::journey::{Enrollment, Journey};
use odyssey_domain::message::{LedgerItem, Mail};
use odyssey_domain::plan::Inferred;
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::signal::Raise;
use odyssey_domain::wire::Wake;
use odyssey_flows::fold_profile::timeline::TimelineRow;
use odyssey_flows::profiles::EmailLookUp;
use odyssey_flows::stored::Stored;
use std::collections::BTreeMap;
use std::path::Path;

/// Not typed items: what DynamoDB itself adds to, ids to a set and numbers to a counter.
const ADDED_TO: [&str; 2] = ["ids", "segment counter"];

fn in_code<T: Stored>() -> (String, (String, String)) {
    (T::NAME.to_owned(), (T::SCHEMA.to_string(), T::BYTES_MAX.to_string()))
}

fn items() -> BTreeMap<String, (String, String)> {
    [
        in_code::<IdentityItem>(),
        in_code::<EmailLookUp>(),
        in_code::<TimelineRow>(),
        in_code::<Raise>(),
        in_code::<Enrollment>(),
        in_code::<Wake>(),
        in_code::<Contact>(),
        in_code::<LedgerItem>(),
        in_code::<Catalog>(),
        in_code::<Journey>(),
        in_code::<Mail>(),
        in_code::<Inferred>(),
    ]
    .into()
}

/// The rows of the table: name, schema, most bytes.
fn in_architecture() -> BTreeMap<String, (String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| item |")).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[1].to_owned(), (cells[6].to_owned(), cells[7].to_owned())))
        .filter(|(name, _)| !ADDED_TO.contains(&name.as_str()))
        .collect()
}

#[test]
fn architecture_lists_every_stored_item() {
    assert_eq!(in_architecture(), items());
}

#[test]
fn no_stored_item_is_left_out_of_this_test() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/flows/src")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                found += text.lines().filter(|line| line.starts_with("impl Stored for ")).count();
            }
        }
    }
    assert_eq!(found, items().len());
}
