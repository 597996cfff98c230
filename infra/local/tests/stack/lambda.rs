//! Functions as processes: batches, failures, crashes, time-outs, the schedule.

use crate::harness::{call, happens, http, options, start, within};
use http::Method;
use odyssey_domain::time::{Span, Stamp};
use odyssey_local::{Ended, LocalStack, Pace, What};
use serde_json::{Value, json};

async fn send(stack: &LocalStack, what: &str, delay_seconds: u32) -> String {
    let url = stack.environment()["JOURNEY_QUEUE_URL"].clone();
    let body = json!({"do": what}).to_string();
    let input = json!({"QueueUrl": url, "MessageBody": body, "DelaySeconds": delay_seconds});
    let answer = call(stack, "operator", "AmazonSQS.SendMessage", &input).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()["MessageId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_reaches_its_function_and_leaves_the_queue() {
    let stack = start().await;
    let mut feed = stack.feed();
    send(&stack, "log", 0).await;
    let line = happens(&mut feed, |what| match what {
        What::Logged { function, line } if line.contains("a line") => Some(function.clone()),
        _ => None,
    });
    assert_eq!(line.await, "JourneyFunction");
    within(stack.idle(stack.now())).await;
    assert_eq!(stack.depth("JourneyQueue").unwrap(), odyssey_local::Depth::default());
    let usage = stack.usage();
    assert_eq!(usage.invocations["JourneyFunction"].records, 1);
    assert_eq!(usage.calls["Lambda JourneyFunction"]["sqs:ReceiveMessage"].calls, 1);
}

#[tokio::test]
async fn a_record_given_back_stays_until_its_visibility_ends() {
    let stack = start().await;
    let mut feed = stack.feed();
    send(&stack, "fail", 0).await;
    let failed = happens(&mut feed, |what| match what {
        What::Invoked { function, failed, .. } if function == "JourneyFunction" => Some(*failed),
        _ => None,
    });
    assert_eq!(failed.await, 1);
    assert_eq!(stack.depth("JourneyQueue").unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_crash_gives_the_batch_back_and_the_next_invocation_a_new_process() {
    let stack = start().await;
    let mut feed = stack.feed();
    for (what, expected) in [
        ("crash", Ended::Crashed("Runtime exited: exit status: 7".to_owned())),
        ("ok", Ended::Answered),
    ] {
        send(&stack, what, 0).await;
        let (cold, ended) = happens(&mut feed, |what| match what {
            What::Invoked { function, cold, ended, .. } if function == "JourneyFunction" => {
                Some((*cold, ended.clone()))
            }
            _ => None,
        })
        .await;
        assert_eq!((cold, ended), (true, expected));
    }
    assert_eq!(stack.depth("JourneyQueue").unwrap().in_flight, 1);
}

#[tokio::test]
async fn an_error_keeps_the_process() {
    let stack = start().await;
    let url = format!("{}/v1/x", stack.api_url());
    let failed = http(Method::POST, &url, &[("x-do", "error")], "").await.unwrap();
    assert_eq!(failed.status, 500);
    assert_eq!(failed.json(), json!({"message": "Internal Server Error"}));
    let mut feed = stack.feed();
    assert_eq!(http(Method::POST, &url, &[], "").await.unwrap().status, 200);
    let cold = happens(&mut feed, |what| match what {
        What::Invoked { function, cold, .. } if function == "IngestFunction" => Some(*cold),
        _ => None,
    });
    assert!(!cold.await);
}

#[tokio::test]
async fn a_killed_function_is_a_crash() {
    let stack = start().await;
    let mut feed = stack.feed();
    send(&stack, "hang", 0).await;
    // It hangs only once it has been started.
    within(async {
        while stack.kill("JourneyFunction") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let ended = happens(&mut feed, |what| match what {
        What::Invoked { function, ended, .. } if function == "JourneyFunction" => {
            Some(ended.clone())
        }
        _ => None,
    });
    assert!(matches!(ended.await, Ended::Crashed(_)));
}

#[tokio::test]
async fn the_schedule_and_delays_run_at_the_rate() {
    let mut options = options();
    options.rate = 600;
    options.start = Some(Stamp::from_ms(1_800_000_000_000));
    let stack = LocalStack::start(options).await.unwrap();
    let mut feed = stack.feed();
    let ticks = async {
        for _ in 0..3 {
            happens(&mut feed, |what| match what {
                What::Invoked { function, .. } if function == "TickFunction" => Some(()),
                _ => None,
            })
            .await;
        }
    };
    ticks.await;
    let before = stack.now();
    send(&stack, "ok", 900).await;
    within(stack.idle(before.plus(Span::from_ms(960_000)))).await;
    let passed = stack.now().since(before);
    assert!(passed >= Span::from_ms(890_000), "{passed:?}");
    assert_eq!(stack.usage().invocations["JourneyFunction"].count, 1);
}

#[tokio::test]
async fn a_function_that_cannot_start_says_so() {
    let mut options = options();
    options.environment.insert("FAIL_AT_START".to_owned(), "1".to_owned());
    let stack = LocalStack::start(options).await.unwrap();
    let mut feed = stack.feed();
    let url = format!("{}/v1/x", stack.api_url());
    assert_eq!(http(Method::POST, &url, &[], "").await.unwrap().status, 500);
    let ended = happens(&mut feed, |what| match what {
        What::Invoked { function, ended, .. } if function == "IngestFunction" => {
            Some(ended.clone())
        }
        _ => None,
    });
    assert_eq!(ended.await, Ended::Crashed("Runtime exited: exit status: 3".to_owned()));
}

#[tokio::test]
async fn each_function_has_the_templates_environment_and_its_own_key() {
    let stack = start().await;
    let url = format!("{}/v1/x", stack.api_url());
    let answer = http(Method::POST, &url, &[], "").await.unwrap().json();
    let environment = |name: &str| answer["environment"][name].clone();
    assert_eq!(environment("BUS_NAME"), "odyssey-bus");
    assert_eq!(environment("AWS_ACCESS_KEY_ID"), "AKIAINGESTFUNCTION");
    assert_eq!(environment("AWS_ENDPOINT_URL"), stack.endpoint_url());
    assert_eq!(environment("LOG_LEVEL"), "info");
    assert_eq!(environment("PROFILES_TABLE"), Value::Null);
}

#[tokio::test]
async fn stopping_ends_every_process() {
    let stack = start().await;
    send(&stack, "ok", 0).await;
    within(stack.idle(stack.now())).await;
    within(stack.stop()).await.unwrap();
}

#[tokio::test]
async fn what_is_warm_answers_its_first_request_without_a_cold_start() {
    let stack = start().await;
    stack.warm().await;
    let mut feed = stack.feed();
    let url = format!("{}/v1/x", stack.api_url());
    assert_eq!(http(Method::POST, &url, &[], "").await.unwrap().status, 200);
    let cold = happens(&mut feed, |what| match what {
        What::Invoked { function, cold, .. } if function == "IngestFunction" => Some(*cold),
        _ => None,
    });
    assert!(!cold.await);
}

#[tokio::test]
async fn a_patient_clock_waits_for_a_slow_machine() {
    let start = Stamp::parse("2027-03-01T07:00:00Z").unwrap();
    let mut options = options();
    (options.rate, options.start, options.pace) = (18_000, Some(start), Pace::Patient);
    let stack = LocalStack::start(options).await.unwrap();
    let mut feed = stack.feed();
    send(&stack, "slow", 900).await;
    assert_eq!(stack.now(), start, "it stands still until all is warm");
    within(stack.warm()).await;
    let due = start.plus(Span::MINUTE.times(15));
    let answered = within(async {
        loop {
            let happening = feed.recv().await.unwrap();
            match &happening.what {
                What::Invoked { function, .. } if function == "JourneyFunction" => {
                    return happening.at;
                }
                _ => {}
            }
        }
    });
    let answered = answered.await;
    // At a steady pace its 400 ms are two hours; two slices of time are a quarter of an hour.
    let late = answered.since(due);
    assert!(
        answered >= due && late <= Span::MINUTE.times(15),
        "{} minutes late",
        late.ms() / 60_000
    );
    let (busy, clock) = (stack.busy(), stack.clock());
    let held = stack.now().plus(Span::HOUR);
    tokio::select! {
        () = clock.until(held) => panic!("it went on while somebody was busy"),
        () = tokio::time::sleep(std::time::Duration::from_millis(300)) => {}
    }
    drop(busy);
    within(clock.until(held)).await;
}
