//! Functions and what starts them.

use super::TemplateError;
use super::intrinsics::{Resolver, unexpected, unknown};
use super::properties::Properties;
use odyssey_domain::time::Span;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A queue whose messages a function takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// The queue's ARN.
    pub queue: String,
    /// Records in one invocation, at most.
    pub batch_size: usize,
    /// How long to wait for a batch to fill; customer time.
    pub window: Span,
    /// Whether the function's answer names the records that failed.
    pub reports_failures: bool,
    /// Invocations at once, at most.
    pub max_concurrency: usize,
}

/// A schedule that starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its ARN.
    pub arn: String,
    /// The time between two starts; customer time.
    pub every: Span,
    /// The payload, where the template gives one.
    pub input: Option<String>,
}

/// A Lambda function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Logical id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// The binary: `BuildProperties.Binary`.
    pub binary: String,
    /// The role's ARN.
    pub role: String,
    /// Megabytes.
    pub memory: u32,
    /// The longest that an invocation may take; real time.
    pub timeout: Duration,
    /// `ReservedConcurrentExecutions`.
    pub reserved: Option<usize>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The log group's name.
    pub log_group: String,
    /// Queues it takes from.
    pub sources: Vec<EventSource>,
    /// Schedules it runs on.
    pub schedules: Vec<Schedule>,
}

const IGNORED: &[&str] = &[
    "Runtime",
    "Architectures",
    "Handler",
    "CodeUri",
    "Description",
    "EventInvokeConfig",
    "Tags",
    "Tracing",
    "FunctionName",
];
const READ: &[&str] = &[
    "MemorySize",
    "Timeout",
    "LoggingConfig",
    "Environment",
    "Role",
    "Events",
    "ReservedConcurrentExecutions",
];

/// Maps merge, the function's own values win (SAM's rule for `Globals`).
fn merge(globals: Value, own: Value) -> Value {
    match (globals, own) {
        (Value::Object(mut globals), Value::Object(own)) => {
            for (key, value) in own {
                let under = globals.remove(&key).unwrap_or(Value::Null);
                globals.insert(key, merge(under, value));
            }
            Value::Object(globals)
        }
        (globals, Value::Null) => globals,
        (_, own) => own,
    }
}

/// Reads an `AWS::Serverless::Function`.
pub(super) fn function(
    id: &str,
    body: &Value,
    resolver: &Resolver<'_>,
) -> Result<Function, TemplateError> {
    let here = format!("Resources.{id}");
    let physical = resolver.physical(id, &here)?;
    let own = resolver.resolve(&body["Properties"], &format!("{here}.Properties"))?;
    let merged = merge(resolver.globals("Function")?, own);
    let properties = Properties::new(format!("{here}.Properties"), merged)?;
    let known: Vec<&str> = IGNORED.iter().chain(READ).copied().collect();
    properties.only(&known)?;
    let binary = &body["Metadata"]["BuildProperties"]["Binary"];
    let binary = binary
        .as_str()
        .ok_or_else(|| unexpected(&format!("{here}.Metadata"), binary, "the binary's name"))?;
    let mut environment = BTreeMap::new();
    let variables = properties.within("Environment")?.within("Variables")?;
    for (name, _) in variables.entries() {
        environment.insert(name.to_owned(), variables.text(name)?);
    }
    let mut function = Function {
        id: id.to_owned(),
        arn: physical.arn(resolver.place),
        binary: binary.to_owned(),
        role: properties.text("Role")?,
        memory: properties.number_opt("MemorySize")?.unwrap_or(128),
        timeout: Duration::from_secs(properties.number_opt("Timeout")?.unwrap_or(3).into()),
        reserved: properties
            .number_opt("ReservedConcurrentExecutions")?
            .map(|reserved| reserved as usize),
        environment,
        log_group: properties
            .within("LoggingConfig")?
            .text_opt("LogGroup")?
            .unwrap_or_else(|| format!("/aws/lambda/{}", physical.name)),
        name: physical.name,
        sources: Vec::new(),
        schedules: Vec::new(),
    };
    let events = properties.within("Events")?;
    for (name, _) in events.entries() {
        event(name, &events.within(name)?, &mut function, resolver)?;
    }
    Ok(function)
}

fn event(
    name: &str,
    body: &Properties,
    function: &mut Function,
    resolver: &Resolver<'_>,
) -> Result<(), TemplateError> {
    body.only(&["Type", "Properties"])?;
    let properties = body.within("Properties")?;
    match body.text("Type")?.as_str() {
        "SQS" => function.sources.push(source(&properties)?),
        "ScheduleV2" => {
            let place = resolver.place;
            let arn = format!(
                "arn:aws:scheduler:{}:{}:schedule/default/{}-{}{name}",
                place.region, place.account, place.stack, function.id
            );
            function.schedules.push(schedule(arn, &properties)?);
        }
        other => return Err(unknown(&body.place, format!("events of type {other}"))),
    }
    Ok(())
}

fn source(body: &Properties) -> Result<EventSource, TemplateError> {
    body.only(&[
        "Queue",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "ScalingConfig",
        "Enabled",
    ])?;
    let window = body.number_opt("MaximumBatchingWindowInSeconds")?.unwrap_or(0);
    let reports = body.texts("FunctionResponseTypes")?;
    let scaling = body.within("ScalingConfig")?;
    Ok(EventSource {
        queue: body.text("Queue")?,
        batch_size: body.number_opt("BatchSize")?.unwrap_or(10) as usize,
        window: Span::from_ms(u64::from(window) * 1_000),
        reports_failures: reports.iter().any(|name| name == "ReportBatchItemFailures"),
        max_concurrency: scaling.number_opt("MaximumConcurrency")?.unwrap_or(1_000) as usize,
    })
}

fn schedule(arn: String, body: &Properties) -> Result<Schedule, TemplateError> {
    body.only(&[
        "ScheduleExpression",
        "RetryPolicy",
        "Name",
        "Description",
        "Input",
        "FlexibleTimeWindow",
        "State",
    ])?;
    let expression = body.text("ScheduleExpression")?;
    let every = rate(&expression).ok_or_else(|| {
        unknown(&body.at("ScheduleExpression"), format!("the schedule {expression}"))
    })?;
    Ok(Schedule { arn, every, input: body.text_opt("Input")? })
}

fn rate(expression: &str) -> Option<Span> {
    let inner = expression.strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = inner.split_once(' ')?;
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => Span::MINUTE,
        "hour" => Span::HOUR,
        "day" => Span::DAY,
        _ => return None,
    };
    Some(Span::from_ms(unit.ms().checked_mul(count)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn globals_stand_under_a_functions_own_values() {
        let globals = json!({"Timeout": 30, "Environment": {"Variables": {"A": "1", "B": "2"}}});
        let own = json!({"Timeout": 10, "Environment": {"Variables": {"B": "3"}}});
        let merged = merge(globals, own);
        let expected = json!({"Timeout": 10, "Environment": {"Variables": {"A": "1", "B": "3"}}});
        assert_eq!(merged, expected);
    }

    #[test]
    fn rates() {
        assert_eq!(rate("rate(1 minute)"), Some(Span::MINUTE));
        assert_eq!(rate("rate(2 hours)"), Some(Span::from_ms(7_200_000)));
        for bad in ["rate(0 minutes)", "rate(1 second)", "cron(0 12 * * ? *)", "rate(x days)"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }
}
