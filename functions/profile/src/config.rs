//! What `profile` needs of its environment.

use crate::handler::Kept;
use odyssey_aws::lambda::DeadLetters;
use odyssey_aws::{Aws, DynamoTables, Env, EventBridgeBus, SqsQueues, clock};
use odyssey_domain::keyring::Keyring;
use odyssey_flows::ports::{Queue, Table};
use odyssey_telemetry::Fatal;

/// The ports, the stack's secret, and what this process keeps.
pub(crate) struct Config {
    pub(crate) tables: DynamoTables,
    pub(crate) bus: EventBridgeBus,
    pub(crate) queues: SqsQueues,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) keyring: Keyring,
    pub(crate) kept: Kept,
}

impl Config {
    /// Reads the environment, connects, and fetches the secret once and the catalog beside it.
    ///
    /// # Errors
    /// Where variables are missing or malformed, all of them at once, or the secret cannot be had.
    pub(crate) async fn from_process() -> Result<Config, Fatal> {
        let env = Env::from_process();
        let aws = Aws::connect(&env);
        let tables = aws.tables(&[
            Table::Profiles,
            Table::Timeline,
            Table::Due,
            Table::Contacts,
            Table::Workspace,
        ]);
        let bus = aws.bus();
        let queues = aws.queues(&[Queue::Profile]);
        let dead_letters = aws.dead_letters();
        env.finish()?;
        let kept = Kept::default();
        let ahead = kept.catalog.read_ahead(&tables, clock::now());
        let (keyring, ()) = tokio::join!(aws.keyring(), ahead);
        Ok(Config { tables, bus, queues, dead_letters, keyring: keyring?, kept })
    }
}
