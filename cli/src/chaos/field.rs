//! The stack under attack: its database file, its restarts, and the mails of all its lives.

use crate::Failure;
use crate::dlq::letters::Of;
use crate::dlq::put_back;
use crate::publish::build::build;
use crate::publish::command::publish_to;
use crate::screen::Screen;
use crate::stack;
use crate::standing::{build_all, repository};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::workspace::Files;
use odyssey_flows::ports::Table;
use odyssey_local::{
    Fault, Functions, Happening, Injection, LocalStack, Mail, Options, Service, Storage, What,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Customer seconds in a second: a journey's 20 minutes pass in two. Faster, and what an outage of a
/// minute holds up would be days late, which no journey takes for a trigger any more.
const RATE: u32 = 600;
/// How far ahead timers may be when the stack counts as resting: beyond every wait of the journeys.
const AHEAD: Span = Span::HOUR.times(6);
/// Every function that a queue feeds, and the tick.
pub(super) const FUNCTIONS: [&str; 7] = [
    "IngestFunction",
    "ProfileFunction",
    "JourneyFunction",
    "TickFunction",
    "SenderFunction",
    "FeedbackFunction",
    "ConsentFunction",
];
const QUEUES: [&str; 4] = ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"];

const SETTINGS: &str = "\
brand:
  name: Chaos
  from: hello@chaos.example
  postal_address: 1 Chaos Street, 12345 Chaos
  website: https://chaos.example
  allowed_hosts: [chaos.example]
sources:
  web: {kind: browser}
  backend: {kind: server}
topics:
  offers: {title: Offers, kind: marketing}
signals:
  Cart Abandoned: {after: 4h}
  Browse Abandoned: {after: 2h}
confirmation_mail: confirm
events: [Journey Wanted]
";

/// A wait through the due index, and one through a queue's delay.
const JOURNEY: &str = "\
name: three
state: live
trigger: {event: Journey Wanted}
re_entry: never
steps:
  - {id: first, send: news, topic: offers}
  - {id: long, delay: 20m}
  - {id: second, send: news, topic: offers}
  - {id: short, delay: 5m}
  - {id: third, send: news, topic: offers}
";

/// The steps that send.
pub(super) const STEPS: [&str; 3] = ["first", "second", "third"];
/// The journey's name.
pub(super) const NAME: &str = "three";

fn workspace() -> Files {
    let mail = |link: &str| {
        format!(
            "---\nsubject: News\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>\
             <a href=\"{{{{ {link} }}}}\">here</a> {{{{ brand.postal_address }}}}\
             </mj-text></mj-column></mj-section></mj-body></mjml>\n"
        )
    };
    Files::from([
        ("workspace.yaml".to_owned(), SETTINGS.to_owned()),
        ("journeys/three.yaml".to_owned(), JOURNEY.to_owned()),
        ("mails/confirm.mjml".to_owned(), mail("links.confirm")),
        ("mails/news.mjml".to_owned(), mail("links.unsubscribe")),
    ])
}

/// The stack under attack.
pub(super) struct Field {
    root: PathBuf,
    binaries: BTreeMap<String, PathBuf>,
    folder: tempfile::TempDir,
    stack: Option<LocalStack>,
    /// The mails of the lives before this one.
    mails: Vec<Arc<Mail>>,
    /// Kills by injection in the lives before this one.
    kills: usize,
    /// Log lines of functions that panicked, in all lives.
    panics: Arc<Mutex<Vec<String>>>,
}

impl Field {
    /// Builds the functions, starts the stack on a new database file, publishes.
    pub(super) async fn start(screen: &Screen) -> Result<Field, Failure> {
        let root = repository()?;
        let binaries = build_all(screen, &root).await?;
        let folder = tempfile::tempdir()
            .map_err(|cause| Failure::File { path: std::env::temp_dir(), cause })?;
        let mut field = Field {
            root,
            binaries,
            folder,
            stack: None,
            mails: Vec::new(),
            kills: 0,
            panics: Arc::default(),
        };
        let stack = field.open().await?;
        let built = build(&workspace(), Stamp::MIN).map_err(|faults| {
            Failure::Asked(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        publish_to(&stack.tables(), &built.publication, stack.now()).await?;
        field.stack = Some(stack);
        Ok(field)
    }

    async fn open(&self) -> Result<LocalStack, Failure> {
        let functions = Functions::Binaries(self.binaries.clone());
        let mut options = Options::of_workspace(&self.root, functions)
            .map_err(|error| Failure::Asked(error.to_string()))?;
        // Visibility is real time. What a killed process held is back after a little more than the
        // functions' time-out, not after the six-fold that AWS recommends.
        options.template = shorter_visibility(&options.template);
        options.rate = RATE;
        options.storage = Storage::File(self.folder.path().join("chaos.db"));
        options.parameters.insert("MailIdentity".to_owned(), "chaos.example".to_owned());
        let stack =
            LocalStack::start(options).await.map_err(|error| Failure::Stack(error.to_string()))?;
        tokio::spawn(listen_for_panics(stack.feed(), Arc::clone(&self.panics)));
        Ok(stack)
    }

    pub(super) fn stack(&self) -> Result<&LocalStack, Failure> {
        self.stack.as_ref().ok_or_else(|| Failure::Stack("the stack is down".to_owned()))
    }

    /// Stops the whole stack, and starts another on its file.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        if let Some(stack) = self.stack.take() {
            // Asked after its end: until then SES accepts mails.
            let ended = odyssey_local::Stack::clone(&stack);
            stack.stop().await?;
            self.mails.extend(ended.mailbox().all());
            self.kills += kills(&ended);
        }
        self.stack = Some(self.open().await?);
        Ok(())
    }

    /// Log lines of functions that panicked.
    pub(super) fn panics(&self) -> Vec<String> {
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every mail that SES accepted, in all lives.
    pub(super) fn mails(&self) -> Vec<Arc<Mail>> {
        let mut all = self.mails.clone();
        all.extend(self.stack.iter().flat_map(|stack| stack.mailbox().all()));
        all
    }

    /// From now on, of the mails that SES accepts each hundredth kills `sender`.
    pub(super) fn kill_one_in_a_hundred_senders(&self) {
        if let Some(stack) = &self.stack {
            stack.faults().inject(Injection {
                service: Service::Ses,
                operation: Some("SendEmail".to_owned()),
                caller: Some("SenderFunction".to_owned()),
                fault: Fault::DoneThenKill,
                times: None,
                every: 100,
            });
        }
    }

    /// How often a call killed its function.
    pub(super) fn injected_kills(&self) -> usize {
        self.kills + self.stack.iter().map(|stack| kills(stack)).sum::<usize>()
    }

    /// Takes every fault back.
    pub(super) fn mend(&self) {
        let Some(stack) = &self.stack else { return };
        for service in [
            Service::DynamoDb,
            Service::EventBridge,
            Service::Sqs,
            Service::Ses,
            Service::SecretsManager,
        ] {
            stack.faults().mend(service);
        }
    }

    /// Returns when nothing goes on and no timer of a journey is left.
    pub(super) async fn quiet(&self) {
        if let Some(stack) = &self.stack {
            stack.idle(stack.now().plus(AHEAD)).await;
        }
    }

    /// Puts every dead letter back, as an operator does; how many.
    pub(super) async fn redrive(&self) -> Result<usize, Failure> {
        let connection = stack::of_local(self.stack()?, &[Table::Workspace])?;
        Ok(put_back(&connection, &Of::ALL, |_| true, true).await?.back)
    }

    /// What stands on the queues, for people.
    pub(super) fn depths(&self) -> String {
        let depth = |queue: &&str| {
            let depth = self.stack.as_ref()?.depth(queue)?;
            let (waiting, held) = (depth.visible + depth.delayed, depth.in_flight);
            let name = queue.trim_end_matches("Queue").to_lowercase();
            Some(format!("{name} {waiting}+{held}"))
        };
        let all: Vec<String> = QUEUES.iter().filter_map(depth).collect();
        format!(
            "on the queues, waiting + held: {}; {} mails so far",
            all.join(", "),
            self.mails().len()
        )
    }
}

/// A function that panics is caught by its runtime and tried again: nothing is lost, and nobody
/// would notice.
async fn listen_for_panics(mut feed: Receiver<Arc<Happening>>, panics: Arc<Mutex<Vec<String>>>) {
    loop {
        match feed.recv().await {
            Ok(happening) => {
                if let What::Logged { function, line } = &happening.what
                    && line.contains("panicked")
                {
                    let told = format!("{function}: {line}");
                    panics.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn kills(stack: &odyssey_local::Stack) -> usize {
    stack.faults().struck(&Fault::DoneThenKill)
}

fn shorter_visibility(template: &str) -> String {
    let lines = template.lines().map(|line| match line.split_once("VisibilityTimeout:") {
        Some((before, _)) => format!("{before}VisibilityTimeout: 35"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
