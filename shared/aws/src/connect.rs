//! Clients: where they connect, as whom, and how long they wait.

use crate::bus::EventBridgeBus;
use crate::env::Env;
use crate::lambda::DeadLetters;
use crate::mail::SesMailer;
use crate::queues::SqsQueues;
use crate::secret::{self, SecretError};
use crate::tables::DynamoTables;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use odyssey_domain::keyring::Keyring;
use odyssey_flows::ports::{Queue, Table};
use std::time::Duration;

/// TCP and TLS to a regional endpoint take tens of milliseconds; a second is a failure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One attempt of an idempotent call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// All attempts of an idempotent call: below the 30 s of every function's own time-out.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// Attempts of an idempotent call, the first included.
const ATTEMPTS: u32 = 4;
/// `SendEmail` has one attempt, and ends 10 s before the function's 30, so that what became of it
/// is written down.
const MAIL_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection idle for longer may have been dropped by the other side while the environment
/// was frozen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The way to the services. Each client is made when it is asked for.
#[derive(Debug, Clone)]
pub struct Aws {
    env: Env,
    config: SdkConfig,
    endpoint: Option<String>,
}

impl Aws {
    /// Reads region, credentials and endpoint: `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` (optional) and `AWS_ENDPOINT_URL` (optional,
    /// for all services). What is missing is noted in `env` for [`Env::finish`]. Connects to
    /// nothing yet.
    #[must_use]
    pub fn connect(env: &Env) -> Aws {
        #[cfg(feature = "local-clock")]
        crate::clock::check(env);
        let endpoint = env.optional("AWS_ENDPOINT_URL");
        let credentials = Credentials::new(
            env.text("AWS_ACCESS_KEY_ID"),
            env.text("AWS_SECRET_ACCESS_KEY"),
            env.optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let mut config = SdkConfig::builder()
            .region(Region::new(env.text("AWS_REGION")))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client(endpoint.as_deref(), Reuse::Pooled))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            )
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(Duration::from_millis(50))
                    .with_max_backoff(Duration::from_secs(1)),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &endpoint {
            config = config.endpoint_url(endpoint);
        }
        Aws { env: env.clone(), config: config.build(), endpoint }
    }

    pub(crate) const fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The tables a function uses; their names come from [`Table::env`]. A call for another one is
    /// refused.
    #[must_use]
    pub fn tables(&self, used: &[Table]) -> DynamoTables {
        let names = used.iter().map(|table| (*table, self.env.table(*table))).collect();
        DynamoTables::new(&self.config, names)
    }

    /// The bus named by `BUS_NAME`.
    #[must_use]
    pub fn bus(&self) -> EventBridgeBus {
        EventBridgeBus::new(&self.config, self.env.text("BUS_NAME"))
    }

    /// The queues a function sends to; their URLs come from [`Queue::env`]. A call for another one
    /// is refused.
    #[must_use]
    pub fn queues(&self, used: &[Queue]) -> SqsQueues {
        let urls = used.iter().map(|queue| (*queue, self.env.queue(*queue))).collect();
        SqsQueues::new(&self.config, urls)
    }

    /// The dead-letter queue of the function's own queue, from `DEAD_LETTER_QUEUE_URL`.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        let url = self.env.text("DEAD_LETTER_QUEUE_URL");
        DeadLetters::new(&self.config, url, self.endpoint.clone())
    }

    /// SES, sending under the configuration set named by `CONFIGURATION_SET`. No retries, and a
    /// new connection for each call.
    #[must_use]
    pub fn mailer(&self) -> SesMailer {
        let config = self
            .config
            .to_builder()
            .http_client(http_client(self.endpoint.as_deref(), Reuse::Never))
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_timeout(MAIL_TIMEOUT)
                    .build(),
            )
            .build();
        SesMailer::new(&config, self.env.text("CONFIGURATION_SET"))
    }

    /// Fetches the stack's secret, named by `SECRET_ARN`; once per process.
    ///
    /// # Errors
    /// Where it cannot be fetched or is no keyring.
    pub async fn keyring(&self) -> Result<Keyring, SecretError> {
        secret::fetch(&self.config, &self.env.text("SECRET_ARN")).await
    }
}

/// What becomes of a connection after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// It is kept for the next one, for at most [`IDLE_TIMEOUT`].
    Pooled,
    /// It is closed: one kept over a freeze of the environment dies with a reset, and a reset
    /// leaves open whether the mail was accepted.
    Never,
}

fn http_client(endpoint: Option<&str>, reuse: Reuse) -> SharedHttpClient {
    let builder = match reuse {
        Reuse::Pooled => aws_smithy_http_client::Builder::new().pool_idle_timeout(IDLE_TIMEOUT),
        Reuse::Never => aws_smithy_http_client::Builder::new().pool_max_idle_per_host(0),
    };
    // Reading the machine's root certificates takes milliseconds of a cold start.
    if endpoint.is_some_and(|url| url.starts_with("http://")) {
        builder.build_http()
    } else {
        builder
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https()
    }
}
