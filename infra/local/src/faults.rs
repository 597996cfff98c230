//! Faults on purpose: what a test or an operator makes AWS do wrong.

use std::sync::{Mutex, PoisonError};

/// A part of AWS that functions call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// EventBridge.
    EventBridge,
    /// SQS.
    Sqs,
    /// SES.
    Ses,
    /// Secrets Manager.
    SecretsManager,
}

impl Service {
    /// As it stands in an action: `dynamodb`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Service::DynamoDb => "dynamodb",
            Service::EventBridge => "events",
            Service::Sqs => "sqs",
            Service::Ses => "ses",
            Service::SecretsManager => "secretsmanager",
        }
    }

    /// How it says "too fast": status and exception.
    pub(crate) const fn throttling(self) -> (u16, &'static str) {
        match self {
            Service::DynamoDb | Service::EventBridge | Service::SecretsManager => {
                (400, "ThrottlingException")
            }
            Service::Sqs => (403, "RequestThrottled"),
            Service::Ses => (429, "TooManyRequestsException"),
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; this error is the answer, such as 429 `TooManyRequestsException`.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The exception's name.
        code: &'static str,
    },
    /// Nothing is done; the answer is the service's own way to say "too fast".
    Throttle,
    /// Nothing is done, the connection is reset.
    Reset,
    /// The connection is reset if it has answered a request before; else all is well. What a
    /// connection frozen with its function and then thawed does.
    ResetReused,
    /// It is done, but the connection is reset instead of the answer.
    DoneThenReset,
    /// It is done, but this error is the answer.
    DoneThenRefuse {
        /// The HTTP status.
        status: u16,
        /// The exception's name.
        code: &'static str,
    },
    /// It is done, but no answer ever comes.
    DoneThenSilence,
    /// It is done, and every process of the calling function is killed before it hears of it.
    DoneThenKill,
    /// Entries at these places of a batch (`PutEvents`, `SendMessageBatch` …) fail, the others do not.
    Entries(Vec<usize>),
    /// Events of `PutEvents` are taken, but no rule can deliver them: they end in the targets'
    /// dead-letter queues.
    Undeliverable,
    /// It is done twice, as a service that delivers at least once may: each event of `PutEvents`
    /// is delivered twice.
    Twice,
}

/// When it goes wrong.
#[derive(Debug, Clone)]
pub struct Injection {
    /// Where.
    pub service: Service,
    /// Which operation (`SendEmail`); every one where none is given.
    pub operation: Option<String>,
    /// Which caller's (a function's logical id); everybody's where none is given.
    pub caller: Option<String>,
    /// What.
    pub fault: Fault,
    /// How many calls; until [`Faults::mend`] where none is given.
    pub times: Option<usize>,
    /// Of the calls that fit only each so-manieth, the first of them after as many; 1 is every one.
    pub every: usize,
}

/// The faults that wait for their call.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<Vec<Waiting>>,
    struck: Mutex<Vec<Fault>>,
}

#[derive(Debug)]
struct Waiting {
    injection: Injection,
    /// Calls that fitted since it last struck.
    passed: usize,
}

impl Faults {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds one; of several that strike at a call, the first added is taken.
    pub fn inject(&self, injection: Injection) {
        self.with(|waiting| waiting.push(Waiting { injection, passed: 0 }));
    }

    /// Makes the next `times` calls of one operation go wrong.
    pub fn next(&self, service: Service, operation: &str, fault: Fault, times: usize) {
        self.inject(Injection {
            service,
            operation: Some(operation.to_owned()),
            caller: None,
            fault,
            times: Some(times),
            every: 1,
        });
    }

    /// Resets every connection to a service until [`Faults::mend`].
    pub fn cut(&self, service: Service) {
        self.inject(Injection {
            service,
            operation: None,
            caller: None,
            fault: Fault::Reset,
            times: None,
            every: 1,
        });
    }

    /// Takes back every fault of a service.
    pub fn mend(&self, service: Service) {
        self.with(|waiting| waiting.retain(|one| one.injection.service != service));
    }

    /// How often such a fault struck.
    #[must_use]
    pub fn struck(&self, fault: &Fault) -> usize {
        let struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        struck.iter().filter(|one| *one == fault).count()
    }

    /// The fault for a call, used up.
    pub(crate) fn take(
        &self,
        service: Service,
        operation: &str,
        caller: &str,
        reused: bool,
    ) -> Option<Fault> {
        let fault = self.with(|waiting| {
            let fits = |i: &Injection| {
                i.service == service
                    && i.operation.as_deref().is_none_or(|name| name == operation)
                    && i.caller.as_deref().is_none_or(|name| name == caller)
                    && (reused || i.fault != Fault::ResetReused)
            };
            let mut strikes = None;
            for (at, one) in waiting.iter_mut().enumerate().filter(|(_, one)| fits(&one.injection))
            {
                one.passed += 1;
                if strikes.is_none() && one.passed >= one.injection.every {
                    one.passed = 0;
                    strikes = Some(at);
                }
            }
            let at = strikes?;
            let injection = &mut waiting.get_mut(at)?.injection;
            let fault = injection.fault.clone();
            match &mut injection.times {
                None => {}
                Some(times) if *times > 1 => *times -= 1,
                Some(_) => {
                    waiting.remove(at);
                }
            }
            Some(fault)
        })?;
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).push(fault.clone());
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_and_a_cut_is_mended() {
        let faults = Faults::default();
        faults.next(Service::Ses, "SendEmail", Fault::Reset, 2);
        let take = |service, operation| faults.take(service, operation, "SenderFunction", false);
        assert_eq!(take(Service::Sqs, "SendMessage"), None);
        assert_eq!(take(Service::Ses, "SendEmail"), Some(Fault::Reset));
        assert_eq!(take(Service::Ses, "SendEmail"), Some(Fault::Reset));
        assert_eq!(take(Service::Ses, "SendEmail"), None);
        faults.cut(Service::Sqs);
        assert_eq!(take(Service::Sqs, "SendMessage"), Some(Fault::Reset));
        assert_eq!(take(Service::Sqs, "DeleteMessage"), Some(Fault::Reset));
        faults.mend(Service::Sqs);
        assert_eq!(take(Service::Sqs, "SendMessage"), None);
    }

    #[test]
    fn one_in_so_many_calls_goes_wrong() {
        let faults = Faults::default();
        faults.inject(Injection {
            service: Service::Ses,
            operation: None,
            caller: None,
            fault: Fault::DoneThenKill,
            times: None,
            every: 3,
        });
        let struck = (0..9).map(|_| faults.take(Service::Ses, "SendEmail", "x", false).is_some());
        let expected = [false, false, true].repeat(3);
        assert_eq!(struck.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_a_reused_connection_is_reset() {
        let faults = Faults::default();
        faults.next(Service::Ses, "SendEmail", Fault::ResetReused, 1);
        assert_eq!(faults.take(Service::Ses, "SendEmail", "x", false), None);
        assert_eq!(faults.take(Service::Ses, "SendEmail", "x", true), Some(Fault::ResetReused));
    }
}
