//! Every resource of the template, typed.

use super::access::{Statement, statements};
use super::intrinsics::{Resolver, unexpected, unknown};
use super::properties::Properties;
use super::{
    Destination, Function, HttpApi, Queue, Rule, Secret, Subscription, TableSpec, TemplateError,
};
use super::{api, functions, messaging, storage};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the local stack runs.
#[derive(Debug, Default)]
pub struct Resources {
    /// Functions.
    pub functions: Vec<Function>,
    /// Tables.
    pub tables: Vec<TableSpec>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Buses: name and ARN.
    pub buses: Vec<(String, String)>,
    /// Rules.
    pub rules: Vec<Rule>,
    /// Queues that listen to topics.
    pub subscriptions: Vec<Subscription>,
    /// Where SES reports to.
    pub destinations: Vec<Destination>,
    /// Configuration sets: name and ARN.
    pub configuration_sets: Vec<(String, String)>,
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// The HTTP API.
    pub api: HttpApi,
    /// The statements of each role, by the role's ARN.
    pub roles: BTreeMap<String, Vec<Statement>>,
    /// The statements of queues' and topics' own policies, by the ARN of what they guard.
    pub guards: BTreeMap<String, Vec<Statement>>,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// What runs nothing: encryption, logs, alarms, and who may start a function (the local stack
/// starts exactly what the template wires).
const IGNORED: &[&str] = &[
    "AWS::KMS::Key",
    "AWS::KMS::Alias",
    "AWS::Logs::LogGroup",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Lambda::Permission",
    "AWS::SES::EmailIdentity",
];

impl Resources {
    /// Of a template.
    pub(super) fn read(resolver: &Resolver<'_>) -> Result<Self, TemplateError> {
        let mut all = Self::default();
        let mut parts = api::Parts::default();
        for (id, kind, body) in resolver.resources()? {
            if !IGNORED.contains(&kind) {
                all.resource(id, kind, body, resolver, &mut parts)?;
            }
        }
        all.api = parts.finish(&resolver.place.stack)?;
        for (name, output) in resolver.outputs()? {
            all.outputs.insert(name, output);
        }
        all.check()?;
        Ok(all)
    }

    fn resource(
        &mut self,
        id: &str,
        kind: &str,
        body: &Value,
        resolver: &Resolver<'_>,
        parts: &mut api::Parts,
    ) -> Result<(), TemplateError> {
        let place = format!("Resources.{id}.Properties");
        if kind == "AWS::Serverless::Function" {
            self.functions.push(functions::function(id, body, resolver)?);
            return Ok(());
        }
        let physical = resolver.physical(id, &place)?;
        let arn = physical.arn(resolver.place);
        let properties =
            Properties::new(place.clone(), resolver.resolve(&body["Properties"], &place)?)?;
        match kind {
            "AWS::DynamoDB::Table" => {
                self.tables.push(storage::table(id, physical.name, arn, &properties)?);
            }
            "AWS::SecretsManager::Secret" => {
                self.secrets.push(storage::secret(id, physical.name, arn, &properties)?);
            }
            "AWS::SQS::Queue" => {
                let url = physical.queue_url(resolver.place);
                self.queues.push(messaging::queue(id, physical.name, arn, url, &properties)?);
            }
            "AWS::Events::EventBus" => self.buses.push((physical.name, arn)),
            "AWS::Events::Rule" => self.rules.push(messaging::rule(id, arn, &properties)?),
            "AWS::SNS::Topic" => {
                for subscription in properties.list("Subscription")? {
                    self.subscriptions.extend(messaging::subscription(&arn, &subscription)?);
                }
            }
            "AWS::SNS::Subscription" => {
                let topic = properties.text("TopicArn")?;
                self.subscriptions.extend(messaging::subscription(&topic, &properties)?);
            }
            "AWS::SES::ConfigurationSet" => self.configuration_sets.push((physical.name, arn)),
            "AWS::SES::ConfigurationSetEventDestination" => {
                self.destinations.extend(messaging::destination(&properties)?);
            }
            "AWS::IAM::Role" => {
                self.roles.insert(arn, role(&properties)?);
            }
            "AWS::SQS::QueuePolicy" => self.guard(&properties, "Queues", resolver)?,
            "AWS::SNS::TopicPolicy" => self.guard(&properties, "Topics", resolver)?,
            "AWS::ApiGatewayV2::Api" => parts.api(&properties)?,
            "AWS::ApiGatewayV2::Stage" => api::Parts::stage(&properties)?,
            "AWS::ApiGatewayV2::Integration" => parts.integration(id, &properties)?,
            "AWS::ApiGatewayV2::Route" => parts.route(&properties)?,
            other => return Err(unknown(&format!("Resources.{id}"), other)),
        }
        Ok(())
    }

    /// A queue's policy names it by URL; its statements are kept under its ARN.
    fn guard(
        &mut self,
        body: &Properties,
        what: &str,
        resolver: &Resolver<'_>,
    ) -> Result<(), TemplateError> {
        body.only(&[what, "PolicyDocument"])?;
        let found = statements(&body.within("PolicyDocument")?)?;
        for guarded in body.texts(what)? {
            let arn = match guarded.strip_prefix(&resolver.place.endpoint_url) {
                Some(path) => {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    let (region, account) = (&resolver.place.region, &resolver.place.account);
                    format!("arn:aws:sqs:{region}:{account}:{name}")
                }
                None => guarded,
            };
            self.guards.entry(arn).or_default().extend(found.iter().cloned());
        }
        Ok(())
    }

    /// Every reference between resources leads somewhere.
    fn check(&self) -> Result<(), TemplateError> {
        let queue = |arn: &str, place: &str| {
            if self.queues.iter().any(|queue| queue.arn == arn) {
                Ok(())
            } else {
                Err(unexpected(place, &Value::from(arn), "the ARN of a queue in this template"))
            }
        };
        for function in &self.functions {
            let place = format!("Resources.{}.Properties", function.id);
            if !self.roles.contains_key(&function.role) {
                let found = Value::from(function.role.clone());
                return Err(unexpected(&place, &found, "the ARN of a role in this template"));
            }
            for source in &function.sources {
                queue(&source.queue, &place)?;
            }
        }
        for rule in &self.rules {
            let place = format!("Resources.{}.Properties", rule.id);
            for target in &rule.targets {
                queue(&target.queue, &place)?;
                target.dead_letters.iter().try_for_each(|arn| queue(arn, &place))?;
            }
        }
        for subscription in &self.subscriptions {
            queue(&subscription.queue, &subscription.topic)?;
        }
        for route in &self.api.routes {
            if !self.functions.iter().any(|function| function.arn == route.function) {
                let found = Value::from(route.function.clone());
                return Err(unexpected(&route.key, &found, "a function in this template"));
            }
        }
        Ok(())
    }
}

fn role(body: &Properties) -> Result<Vec<Statement>, TemplateError> {
    body.only(&["RoleName", "Description", "AssumeRolePolicyDocument", "Policies", "Tags"])?;
    let mut found = Vec::new();
    for policy in body.list("Policies")? {
        policy.only(&["PolicyName", "PolicyDocument"])?;
        found.extend(statements(&policy.within("PolicyDocument")?)?);
    }
    Ok(found)
}
