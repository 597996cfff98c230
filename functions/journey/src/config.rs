//! What `journey` is told by its environment.

use odyssey_aws::lambda::DeadLetters;
use odyssey_aws::{Aws, DynamoTables, Env, EnvError, SqsQueues, clock};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Queue, Table};

/// The ports, and this process's copy of the workspace.
pub(crate) struct Config {
    pub(crate) tables: DynamoTables,
    pub(crate) queues: SqsQueues,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) cache: CatalogCache,
}

impl Config {
    /// Reads `ENROLLMENTS_TABLE`, `PROFILES_TABLE`, `DUE_TABLE`, `WORKSPACE_TABLE`,
    /// `JOURNEY_QUEUE_URL`, `SENDER_QUEUE_URL` and `DEAD_LETTER_QUEUE_URL`, and fetches the catalog
    /// before there is an event that would wait for it.
    pub(crate) async fn read() -> Result<Config, EnvError> {
        let env = Env::from_process();
        let aws = Aws::connect(&env);
        let used = [Table::Enrollments, Table::Profiles, Table::Due, Table::Workspace];
        let config = Config {
            tables: aws.tables(&used),
            queues: aws.queues(&[Queue::Journey, Queue::Sender]),
            dead_letters: aws.dead_letters(),
            cache: CatalogCache::default(),
        };
        env.finish()?;
        config.cache.read_ahead(&config.tables, clock::now()).await;
        Ok(config)
    }
}
