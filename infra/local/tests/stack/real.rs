//! A first look at the real binaries, where they have been built: they start, and call nothing
//! that their roles forbid. `tests/local` holds them to far more.

use crate::harness::{http, options, within};
use http::Method;
use odyssey_local::{Ended, Functions, LocalStack, What};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn built() -> Option<BTreeMap<String, PathBuf>> {
    let folder = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    let names = ["ingest", "profile", "journey", "tick", "sender", "feedback", "consent"];
    let all: BTreeMap<String, PathBuf> =
        names.map(|name| (name.to_owned(), folder.join(name))).into_iter().collect();
    all.values().all(|path| path.is_file()).then_some(all)
}

#[tokio::test]
#[ignore = "needs the binaries; run it after a build of the functions"]
async fn every_function_starts_and_keeps_to_its_role() {
    let mut options = options();
    options.functions = Functions::Binaries(built().unwrap());
    options.rate = 600;
    let stack = LocalStack::start(options).await.unwrap();
    let mut feed = stack.feed();
    let key = stack.keyring().unwrap().write_key("web", 1);
    let body = r#"{"type":"track","userId":"u","event":"Product Viewed"}"#;
    let url = format!("{}/v1/track?writeKey={key}", stack.api_url());
    let answer = http(Method::POST, &url, &[], body).await.unwrap();
    println!("ingest: {} {:?}", answer.status, answer.body);
    let page = http(Method::GET, &format!("{}/u/x", stack.api_url()), &[], "").await.unwrap();
    println!("consent: {} {:?}", page.status, page.body);
    for queue in ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"] {
        assert!(stack.enqueue(queue, "no record"));
    }
    // Without a published workspace some records are tried again for long: this waits for every
    // function's first answer, not for quiet.
    let mut waiting: BTreeSet<&str> =
        stack.resources().functions.iter().map(|function| function.id.as_str()).collect();
    while !waiting.is_empty() {
        let happening = within(feed.recv()).await.unwrap();
        match &happening.what {
            What::Denied { .. } | What::Unknown { .. } => panic!("{happening:?}"),
            What::Invoked { ended, function, .. } => {
                assert_eq!(*ended, Ended::Answered, "{happening:?}");
                waiting.remove(function.as_str());
            }
            What::Logged { line, function } => println!("{function}: {line}"),
            _ => {}
        }
    }
    for dead in stack.dead_letters() {
        println!("{} {}", dead.queue, dead.message.body);
    }
}
