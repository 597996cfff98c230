//! Starting a function's binary and watching over it.

use super::Host;
use super::instance::Instance;
use crate::feed::What;
use crate::iam::Question;
use crate::identifiers::uuid;
use crate::state::Shared;
use crate::template::Function;
use crate::wire::access_key;
use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// The variables of a function's process: the template's, Lambda's own, and where the local stack
/// is.
pub(crate) fn environment(shared: &Shared, function: &Function) -> BTreeMap<String, String> {
    let mut all = function.environment.clone();
    let place = &shared.place;
    let own = [
        ("AWS_ENDPOINT_URL", place.endpoint_url.clone()),
        ("AWS_REGION", place.region.clone()),
        ("AWS_DEFAULT_REGION", place.region.clone()),
        ("AWS_ACCESS_KEY_ID", access_key(&function.id)),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_SESSION_TOKEN", "local".to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", function.log_group.clone()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("ODYSSEY_CLOCK", shared.clock.variable()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    all.extend(shared.lambda.environment.clone());
    all
}

/// Starts a process for a function.
pub(super) fn start(shared: &Arc<Shared>, function: &Function) -> Result<Arc<Instance>, String> {
    let Host::Processes(binaries) = &shared.lambda.host else {
        return Err("functions are hosted elsewhere".to_owned());
    };
    let Some(path) = binaries.get(&function.binary) else {
        return Err(format!("no binary {} was built", function.binary));
    };
    let id = uuid();
    // AWS gives host and port alone; a path of one's own needs the whole URL (as cargo-lambda does).
    let endpoint = &shared.place.endpoint_url;
    // Known before it starts: on a busy machine it may ask for work before this goes on, and a
    // process that is told nobody knows it panics.
    let instance = Arc::new(Instance::new(id.clone(), function.id.clone()));
    shared.lambda.keep(&instance);
    let started = Command::new(path)
        .env_clear()
        .envs(environment(shared, function))
        .env("AWS_LAMBDA_RUNTIME_API", format!("{endpoint}{}{id}", super::runtime_api::PREFIX))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{id}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            shared.lambda.forget(&id);
            return Err(format!("{}: {error}", path.display()));
        }
    };
    if may_log(shared, function) {
        if let Some(output) = child.stdout.take() {
            tokio::spawn(lines(Arc::clone(shared), function.id.clone(), output));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(lines(Arc::clone(shared), function.id.clone(), output));
        }
    }
    tokio::spawn(watch(Arc::clone(shared), instance.clone(), child));
    Ok(instance)
}

/// On AWS a function whose role does not allow it writes no log, without a word.
fn may_log(shared: &Shared, function: &Function) -> bool {
    let place = &shared.place;
    let (region, account, group) = (&place.region, &place.account, &function.log_group);
    let resource = format!("arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:local");
    ["logs:CreateLogStream", "logs:PutLogEvents"].iter().all(|action| {
        let question = Question { action, resource: &resource, context: &[] };
        let allowed = shared.iam.role(&function.role, &question);
        if allowed.is_err() {
            shared.tell(What::Denied {
                caller: function.id.clone(),
                action: (*action).to_owned(),
                resource: resource.clone(),
            });
        }
        allowed.is_ok()
    })
}

async fn lines(shared: Arc<Shared>, function: String, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // CloudWatch bills the line and 26 bytes about it.
        shared.book.logged(&function, line.len() + 26);
        shared.tell(What::Logged { function: function.clone(), line });
    }
}

async fn watch(shared: Arc<Shared>, instance: Arc<Instance>, mut child: Child) {
    let ended = tokio::select! {
        ended = child.wait() => ended.ok(),
        () = instance.killed() => None,
        () = shared.closing.wait() => None,
    };
    let cause = match ended {
        Some(status) => format!("Runtime exited: {}", described(status)),
        None => "killed".to_owned(),
    };
    if ended.is_none() {
        let _ = child.kill().await;
    }
    instance.exited(&cause);
    shared.lambda.forget(&instance.id);
    shared.activity.changed();
}

fn described(status: ExitStatus) -> String {
    status.to_string()
}
