//! The HTTP API: routes, integrations and CORS.

use super::TemplateError;
use super::intrinsics::{unexpected, unknown};
use super::properties::Properties;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// CORS as API Gateway answers it, instead of what a function says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// `*` or origins.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Headers, in lower case.
    pub headers: Vec<String>,
    /// Headers that a page may read.
    pub expose: Vec<String>,
    /// Seconds that a browser may keep the answer.
    pub max_age: Option<u32>,
}

/// A route of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `$default`, or a method and a path: `GET /c/{token}`.
    pub key: String,
    /// The function's ARN.
    pub function: String,
    /// How long API Gateway waits for it; real time.
    pub timeout: Duration,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpApi {
    /// CORS, where it is configured.
    pub cors: Option<Cors>,
    /// Routes.
    pub routes: Vec<Route>,
}

/// API Gateway waits for at most 30 s.
const TIMEOUT_MS_MAX: u32 = 30_000;

/// What is gathered before routes can be tied to functions.
#[derive(Debug, Default)]
pub(super) struct Parts {
    apis: usize,
    cors: Option<Cors>,
    integrations: BTreeMap<String, (String, Duration)>,
    routes: Vec<(String, String, String)>,
}

impl Parts {
    /// Reads an `AWS::ApiGatewayV2::Api`.
    pub(super) fn api(&mut self, body: &Properties) -> Result<(), TemplateError> {
        body.only(&["Name", "Description", "ProtocolType", "CorsConfiguration", "Tags"])?;
        if body.text("ProtocolType")? != "HTTP" || self.apis > 0 {
            return Err(unknown(&body.place, "an API that is not the one HTTP API"));
        }
        self.apis += 1;
        if body.has("CorsConfiguration") {
            self.cors = Some(cors(&body.within("CorsConfiguration")?)?);
        }
        Ok(())
    }

    /// Reads an `AWS::ApiGatewayV2::Stage`; throttling and logs are left out.
    pub(super) fn stage(body: &Properties) -> Result<(), TemplateError> {
        let name = body.text("StageName")?;
        if name == "$default" {
            return Ok(());
        }
        Err(unknown(&body.at("StageName"), format!("a stage other than $default: {name}")))
    }

    /// Reads an `AWS::ApiGatewayV2::Integration`.
    pub(super) fn integration(&mut self, id: &str, body: &Properties) -> Result<(), TemplateError> {
        body.only(&[
            "ApiId",
            "Description",
            "IntegrationType",
            "IntegrationUri",
            "PayloadFormatVersion",
            "TimeoutInMillis",
        ])?;
        let kind = (body.text("IntegrationType")?, body.text("PayloadFormatVersion")?);
        if kind != ("AWS_PROXY".to_owned(), "2.0".to_owned()) {
            return Err(unknown(&body.place, "an integration that is not AWS_PROXY 2.0"));
        }
        let timeout = body.number_opt("TimeoutInMillis")?.unwrap_or(TIMEOUT_MS_MAX);
        if timeout > TIMEOUT_MS_MAX {
            let place = body.at("TimeoutInMillis");
            return Err(unexpected(&place, &Value::from(timeout), "at most 30000"));
        }
        let timeout = Duration::from_millis(timeout.into());
        self.integrations.insert(id.to_owned(), (body.text("IntegrationUri")?, timeout));
        Ok(())
    }

    /// Reads an `AWS::ApiGatewayV2::Route`.
    pub(super) fn route(&mut self, body: &Properties) -> Result<(), TemplateError> {
        body.only(&["ApiId", "RouteKey", "Target", "OperationName", "AuthorizationType"])?;
        self.routes.push((body.text("RouteKey")?, body.text("Target")?, body.at("Target")));
        Ok(())
    }

    /// Ties routes to functions. An integration's physical name ends in its logical id.
    pub(super) fn finish(self, stack: &str) -> Result<HttpApi, TemplateError> {
        let mut routes = Vec::new();
        for (key, target, place) in self.routes {
            let prefix = format!("integrations/{stack}-");
            let found = target.strip_prefix(&prefix).and_then(|id| self.integrations.get(id));
            let Some((function, timeout)) = found else {
                return Err(unexpected(&place, &Value::from(target), "an integration"));
            };
            routes.push(Route { key, function: function.clone(), timeout: *timeout });
        }
        Ok(HttpApi { cors: self.cors, routes })
    }
}

fn cors(body: &Properties) -> Result<Cors, TemplateError> {
    body.only(&["AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders", "MaxAge"])?;
    let headers = body.texts("AllowHeaders")?;
    Ok(Cors {
        origins: body.texts("AllowOrigins")?,
        methods: body.texts("AllowMethods")?,
        headers: headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        expose: body.texts("ExposeHeaders")?,
        max_age: body.number_opt("MaxAge")?,
    })
}
