//! The stand-in for every function: it does what its events say.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

/// Not a test by itself: with `AWS_LAMBDA_RUNTIME_API` set, this process is a function.
#[test]
fn stand_in() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    if std::env::var("FAIL_AT_START").is_ok() {
        std::process::exit(3);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(run(service_fn(handle)));
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let payload = event.payload;
    if let Some(records) = payload["Records"].as_array() {
        let mut failures = Vec::new();
        for record in records {
            let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            if act(body["do"].as_str().unwrap_or_default(), record).await? {
                failures.push(json!({"itemIdentifier": record["messageId"]}));
            }
        }
        return Ok(json!({"batchItemFailures": failures}));
    }
    if payload["source"] == "aws.scheduler" {
        println!("tick at {}", payload["time"].as_str().unwrap());
        return Ok(Value::Null);
    }
    let wanted = payload["headers"]["x-do"].as_str().unwrap_or_default().to_owned();
    act(&wanted, &payload).await?;
    let body = json!({"event": payload, "environment": environment()});
    Ok(json!({"statusCode": 200, "headers": {"content-type": "application/json",
        "access-control-allow-origin": "from the function"}, "cookies": [], "body": body.to_string()}))
}

fn environment() -> Value {
    std::env::vars().map(|(name, value)| (name, Value::from(value))).collect()
}

/// Whether the record fails.
async fn act(what: &str, record: &Value) -> Result<bool, Error> {
    match what {
        "fail" => Ok(record["attributes"]["ApproximateReceiveCount"] == "1"),
        "error" => Err("asked to fail".into()),
        "crash" => std::process::exit(7),
        "hang" => std::future::pending().await,
        "slow" => {
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            Ok(false)
        }
        "log" => {
            println!("a line in the log");
            Ok(false)
        }
        _ => Ok(false),
    }
}
