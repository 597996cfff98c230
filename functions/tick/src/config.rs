//! What `tick` is told by its environment.

use odyssey_aws::{Aws, DynamoTables, Env, EnvError, SqsQueues};
use odyssey_flows::ports::{Queue, Table};

/// The ports.
pub(crate) struct Config {
    pub(crate) tables: DynamoTables,
    pub(crate) queues: SqsQueues,
}

impl Config {
    /// Reads `DUE_TABLE`, `PROFILE_QUEUE_URL`, `JOURNEY_QUEUE_URL` and `SENDER_QUEUE_URL`.
    pub(crate) fn read() -> Result<Config, EnvError> {
        let env = Env::from_process();
        let aws = Aws::connect(&env);
        let config = Config {
            tables: aws.tables(&[Table::Due]),
            queues: aws.queues(&[Queue::Profile, Queue::Journey, Queue::Sender]),
        };
        env.finish()?;
        Ok(config)
    }
}
