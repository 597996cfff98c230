//! What an idle stack costs, counted in the template.

use crate::Template;
use odyssey_flows::due::SHARDS;
use serde_json::Value;

/// The bound of an idle stack a month, in dollars.
const IDLE_USD_MAX: f64 = 6.0;

/// Prices of us-east-1, without free tiers, as of 2026-03.
const ALARM_METRIC_USD: f64 = 0.10;
const CUSTOM_METRIC_USD: f64 = 0.30;
const KEY_USD: f64 = 1.00;
const SECRET_USD: f64 = 0.40;
const SQS_CALL_USD: f64 = 0.40e-6;
const KMS_CALL_USD: f64 = 0.03e-4;
const READ_UNIT_USD: f64 = 0.125e-6;
const SCHEDULE_USD: f64 = 1.00e-6;
const LAMBDA_REQUEST_USD: f64 = 0.20e-6;
const LAMBDA_GB_SECOND_USD: f64 = 0.000_013_333_4;
const LOG_GB_USD: f64 = 0.50;

/// 730 hours.
const MINUTES: f64 = 43_800.0;
/// Lambda polls a queue that rests with five long polls of 20 s.
const CALLS_A_QUEUE: f64 = 5.0 * 3.0 * MINUTES;

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn alarm_metrics(alarm: &Value) -> usize {
    let metrics = alarm["Metrics"].as_array();
    metrics.map_or(1, |m| m.iter().filter(|m| !m["MetricStat"].is_null()).count())
}

#[test]
fn an_idle_stack_costs_no_more_than_its_bound() {
    let template = Template::read();
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let metrics: usize = alarms.iter().map(|(_, alarm)| alarm_metrics(alarm)).sum();
    let sources =
        template.functions().iter().filter(|(_, f)| f["Events"]["Queue"].is_object()).count();
    let parts = [
        ("SQS polling", count(sources) * CALLS_A_QUEUE * SQS_CALL_USD),
        // DynamoDB asks for a table's key at most once in five minutes.
        ("KMS", KEY_USD + MINUTES / 5.0 * KMS_CALL_USD),
        ("secret", SECRET_USD),
        ("alarms", count(metrics) * ALARM_METRIC_USD),
        ("custom metric", CUSTOM_METRIC_USD),
        (
            "tick",
            MINUTES * (SCHEDULE_USD + LAMBDA_REQUEST_USD + 0.25 * 0.050 * LAMBDA_GB_SECOND_USD),
        ),
        ("due index", MINUTES * f64::from(SHARDS) * 0.5 * READ_UNIT_USD),
        ("logs", MINUTES * 1e-6 * LOG_GB_USD),
    ];
    let sum: f64 = parts.iter().map(|(_, usd)| usd).sum();
    assert!(sum <= IDLE_USD_MAX, "an idle stack costs ${sum:.2} a month: {parts:.2?}");
    assert_eq!(template.of_type("AWS::KMS::Key").len(), 1);
    assert_eq!(template.of_type("AWS::SecretsManager::Secret").len(), 1);

    // The comment in the template says the same.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/template.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.trim_end().contains("   sum   $")).unwrap();
    let said: f64 = line.rsplit('$').next().unwrap().trim().parse().unwrap();
    assert!((said - sum).abs() < 0.02, "the template says ${said}, it is ${sum:.2}: {parts:.2?}");
}
