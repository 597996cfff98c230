//! Telling what happens to whom, from the stack's feed.

use super::evidence;
use super::story::Story;
use crate::dossier::send_part;
use crate::screen::{Screen, Style};
use odyssey_domain::ids::{ContactKey, ProfileId, SendId, SignalId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::LedgerItem;
use odyssey_domain::personal::{AnonymousId, EmailAddress, UserId};
use odyssey_domain::signal::{SignalKind, Threshold};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{
    Command, ConsentChanged, Owner, SendRequested, SignalRaised, detail_type,
};
use odyssey_flows::ledger;
use odyssey_flows::ports::Consistency;
use odyssey_flows::stored::load;
use odyssey_local::{Ended, Happening, Stack, What};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often and how long the ledger is asked what became of a send.
const ASK_EVERY: Duration = Duration::from_millis(60);
const ASK_TIMES: usize = 250;
/// Log lines of a function that are kept for when it crashes.
const LAST_WORDS: usize = 6;
/// Problems told one by one; the rest is counted.
const PROBLEMS_MAX: usize = 20;

/// Who is nobody of the story's cast.
pub(super) const NOBODY: &str = "?";

/// A signal that was raised.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// Of whom.
    pub(super) who: String,
    /// Its name.
    pub(super) signal: String,
    /// What it was decided on.
    pub(super) evidence: Map<String, Value>,
}

/// What the telling counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Signals told; a redelivery repeats them.
    signals: BTreeSet<SignalId>,
    /// The same, with their evidence, in the order they were raised.
    pub(super) heard: Vec<Heard>,
    /// Sends followed; a redelivery asks for them again.
    sends: BTreeSet<SendId>,
    /// Journey steps that were woken out of the due index.
    pub(super) due_steps: usize,
    /// Silences that were woken out of the due index.
    pub(super) due_silences: usize,
    /// Wakes of steps through a queue's delay.
    pub(super) delayed: usize,
    /// Bus events.
    pub(super) events: usize,
    /// Invocations.
    pub(super) invocations: usize,
    /// What must not happen: denied calls, crashes, dead letters.
    pub(super) problems: Vec<String>,
}

/// Who is who.
struct People {
    profiles: BTreeMap<ProfileId, String>,
    contacts: BTreeMap<ContactKey, String>,
    addresses: BTreeMap<String, String>,
}

/// Tells lines; cheap to clone.
#[derive(Clone)]
pub(super) struct Teller {
    screen: Screen,
    /// The longest name, so that what is told stands in a column.
    width: usize,
}

impl Teller {
    /// Something a customer does.
    pub(super) fn deed(&self, at: Stamp, who: &str, says: &str) {
        self.line(at, who, Style::Plain, says);
    }

    fn line(&self, at: Stamp, who: &str, style: Style, text: &str) {
        let time = self.screen.paint(Style::Faint, &crate::explain::clock(at));
        let name = self.screen.paint(Style::Strong, &format!("{:<1$}", title(who), self.width));
        self.screen.line(&format!("{time}  {name} {}", self.screen.paint(style, text)));
    }
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

/// The telling while it goes on.
pub(super) struct Telling {
    teller: Teller,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Tally>,
}

impl Telling {
    /// Listens from now on.
    pub(super) fn begin(screen: Screen, stack: &Stack, story: &Story, keys: &Keyring) -> Telling {
        let width = story.cast.keys().map(|who| who.chars().count()).max().unwrap_or_default();
        let teller = Teller { screen, width };
        let (stop, stopped) = oneshot::channel();
        let listener = Listener {
            teller: teller.clone(),
            stack: stack.clone(),
            people: Arc::new(People::of(story, keys)),
            tally: Tally::default(),
            logs: BTreeMap::new(),
        };
        let feed = stack.feed();
        let task = tokio::spawn(listener.listen(feed, stopped));
        Telling { teller, stop, task }
    }

    pub(super) fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Stops listening; what was counted.
    pub(super) async fn end(self) -> Tally {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

impl People {
    fn of(story: &Story, keys: &Keyring) -> People {
        let mut people = People {
            profiles: BTreeMap::new(),
            contacts: BTreeMap::new(),
            addresses: BTreeMap::new(),
        };
        for (who, customer) in &story.cast {
            if let Ok(user) = UserId::parse(&customer.user_id) {
                people.profiles.insert(keys.user_key(&user).into(), who.clone());
            }
            if let Ok(anonymous) = AnonymousId::parse(&customer.anonymous_id) {
                people.profiles.insert(keys.anonymous_key(&anonymous).into(), who.clone());
            }
            if let Ok(address) = EmailAddress::parse(&customer.email) {
                people.contacts.insert(keys.contact_key(&address), who.clone());
                people.addresses.insert(address.normalized(), who.clone());
            }
        }
        people
    }

    fn profile(&self, id: ProfileId) -> &str {
        self.profiles.get(&id).map_or(NOBODY, String::as_str)
    }
}

struct Listener {
    teller: Teller,
    stack: Stack,
    people: Arc<People>,
    tally: Tally,
    /// The last lines that each function logged, for when it crashes.
    logs: BTreeMap<String, VecDeque<String>>,
}

impl Listener {
    async fn listen(
        mut self,
        mut feed: tokio::sync::broadcast::Receiver<Arc<Happening>>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Tally {
        loop {
            tokio::select! {
                biased;
                happening = feed.recv() => match happening {
                    Ok(happening) => self.hear(&happening),
                    Err(RecvError::Lagged(missed)) => {
                        self.problem(format!("{missed} happenings were missed"));
                    }
                    Err(RecvError::Closed) => return self.tally,
                },
                _ = &mut stopped => return self.tally,
            }
        }
    }

    fn last_words(&self, function: &str) -> String {
        let lines = self.logs.get(function).into_iter().flatten();
        lines.map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    fn problem(&mut self, text: String) {
        if self.tally.problems.len() < PROBLEMS_MAX && !self.tally.problems.contains(&text) {
            self.teller.line(self.stack.now(), "!", Style::Bad, &text);
            self.tally.problems.push(text);
        }
    }

    fn hear(&mut self, happening: &Happening) {
        let at = happening.at;
        match &happening.what {
            What::BusEvent { detail_type, detail, .. } => {
                self.tally.events += 1;
                self.bus(at, detail_type, detail);
            }
            What::Queued { sender, body, .. } => self.queued(at, sender, body),
            What::Mailed(mail) => {
                let to = mail.to.first().map(|to| to.to_lowercase()).unwrap_or_default();
                let who = self.people.addresses.get(&to).map_or(NOBODY, String::as_str);
                let tag = |name: &str| mail.tags.get(name).map(String::as_str);
                let why = match (tag("journey"), tag("step")) {
                    (Some(journey), Some(step)) => format!("journey {journey}, step {step}"),
                    _ => "asks the owner of the address".to_owned(),
                };
                let text = format!("← mail “{}” ({why})", mail.subject);
                self.teller.line(at, who, Style::Good, &text);
            }
            What::Reported { message, event } if event == "Bounce" || event == "Complaint" => {
                let mail = self.stack.mailbox().get(message);
                let to = mail.and_then(|mail| mail.to.first().map(|to| to.to_lowercase()));
                let who = to.and_then(|to| self.people.addresses.get(&to).cloned());
                let text = format!("SES reports: {event}. The address is suppressed at once");
                self.teller.line(at, who.as_deref().unwrap_or(NOBODY), Style::Warn, &text);
            }
            What::Invoked { function, ended, .. } => {
                self.tally.invocations += 1;
                match ended {
                    Ended::Answered => {}
                    Ended::Failed(error) => self.problem(format!("{function} failed: {error}")),
                    Ended::TimedOut => self.problem(format!("{function} timed out")),
                    Ended::Crashed(error) => {
                        let said = self.last_words(function);
                        self.problem(format!("{function} crashed: {error}; it last said: {said}"));
                    }
                }
            }
            What::Logged { function, line } => {
                let lines = self.logs.entry(function.clone()).or_default();
                lines.push_back(line.clone());
                if lines.len() > LAST_WORDS {
                    lines.pop_front();
                }
            }
            What::DeadLettered { queue, .. } => {
                self.problem(format!("a message of {queue} went to the dead letters"));
            }
            What::Denied { caller, action, resource } => {
                self.problem(format!("{caller} may not {action} on {resource}"));
            }
            What::Unknown { caller, operation } => {
                self.problem(format!("{caller} called {operation}, which is not emulated"));
            }
            _ => {}
        }
    }

    fn bus(&mut self, at: Stamp, kind: &str, detail: &str) {
        match kind {
            detail_type::SIGNAL_RAISED => {
                let Ok(raised) = serde_json::from_str::<SignalRaised>(detail) else { return };
                if !self.tally.signals.insert(raised.id) {
                    return;
                }
                let since = crate::explain::clock(raised.since);
                // These need not speak of a silence that goes on.
                let back = [SignalKind::BackAfterAbsence, SignalKind::StageChanged]
                    .iter()
                    .any(|kind| raised.signal == kind.name());
                let text = match raised.threshold {
                    Threshold::After(span) if !back => {
                        format!("… silent for {span} since {since}: {}", raised.signal)
                    }
                    threshold => format!("{} ({threshold}) at {since}", raised.signal),
                };
                let who = self.people.profile(raised.profile).to_owned();
                let shown = evidence::line(&raised.evidence);
                self.teller.line(at, &who, Style::Name, &format!("{text} ({shown})"));
                let heard = Heard { who, signal: raised.signal, evidence: raised.evidence };
                self.tally.heard.push(heard);
            }
            detail_type::CONSENT_CHANGED => {
                let Ok(changed) = serde_json::from_str::<ConsentChanged>(detail) else { return };
                let who = self.people.contacts.get(&changed.contact).map_or(NOBODY, String::as_str);
                let state = crate::dossier::word_of(&changed.state);
                let text = format!("consent to {} {state} via {}", changed.topic, changed.via);
                self.teller.line(at, who, Style::Name, &text);
            }
            _ => {}
        }
    }

    fn queued(&mut self, at: Stamp, sender: &str, body: &str) {
        match serde_json::from_str::<Command>(body) {
            Ok(Command::Wake(wake)) => match (sender == "TickFunction", &wake.owner) {
                (true, Owner::Enrollment(_)) => self.tally.due_steps += 1,
                (true, Owner::Profile(_)) => self.tally.due_silences += 1,
                (false, Owner::Enrollment(_)) => self.tally.delayed += 1,
                (_, Owner::Send(_)) | (false, Owner::Profile(_)) => {}
            },
            Ok(Command::Send(asked)) => {
                if !self.tally.sends.insert(asked.send) {
                    return;
                }
                let follower = Follower {
                    teller: self.teller.clone(),
                    stack: self.stack.clone(),
                    people: Arc::clone(&self.people),
                };
                tokio::spawn(follower.follow(at, *asked));
            }
            Ok(Command::Look { .. }) | Err(_) => {}
        }
    }
}

/// Finds out what became of a send that no mail tells of.
struct Follower {
    teller: Teller,
    stack: Stack,
    people: Arc<People>,
}

impl Follower {
    async fn follow(self, at: Stamp, asked: SendRequested) {
        let tables = self.stack.tables();
        for _ in 0..ASK_TIMES {
            tokio::time::sleep(ASK_EVERY).await;
            let key = ledger::key(asked.send);
            let found = load::<LedgerItem>(&tables, key, Consistency::Eventual).await;
            let Ok(Some(found)) = found else { continue };
            let part = send_part(&found.item);
            // A send is unconfirmed while SES's own event is on its way.
            if part.state == "under way" || part.state == "unconfirmed" {
                continue;
            }
            if let Some(reason) = part.reasons.first() {
                let who = self.people.profile(asked.profile);
                let what = match part.until {
                    Some(until) => {
                        format!("… {} waits until {}", part.mail, crate::explain::clock(until))
                    }
                    None => format!("✗ no {}", part.mail),
                };
                let text = format!(
                    "{what} (journey {}, step {}): {}: {}; to change it: {}",
                    asked.journey, asked.step, reason.code, reason.found, reason.remedy
                );
                self.teller.line(part.at.max(at), who, Style::Warn, &text);
            }
            return;
        }
    }
}
