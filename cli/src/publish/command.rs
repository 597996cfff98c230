//! `odyssey publish`: the plan, and with `--yes` its execution.

use super::build::build;
use super::directory;
use super::plan::{Change, Plan, plan};
use crate::args::PublishArgs;
use crate::check::{tell_faults, tell_warnings};
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::{self, CatalogError, Publication};
use odyssey_flows::ports::{Table, Tables};
use serde_json::json;

/// How often a publication is planned again because another came between.
const ATTEMPTS: usize = 3;

/// Runs the command.
///
/// # Errors
/// Where the workspace or the stack cannot be read or written.
pub async fn run(screen: &Screen, args: &PublishArgs) -> Result<Exit, Failure> {
    let files = directory::read(&args.workspace)?;
    let folder = args.workspace.display().to_string();
    let used = [Table::Workspace, Table::Due, Table::Enrollments];
    // Mistakes are told before anything is connected to.
    let built = match build(&files, Stamp::MIN) {
        Ok(built) => built,
        Err(faults) => {
            tell_faults(screen, &folder, &faults);
            return Ok(Exit::Wrong);
        }
    };
    let connection = stack::connect(&args.stack, &used)?;
    let tables = connection.tables();
    if !args.json {
        tell_warnings(screen, &built.warnings);
        let name = screen.paint(Style::Name, &connection.name);
        screen.line(&format!("{folder} → {name}"));
    }
    for _ in 0..ATTEMPTS {
        let mut publication = built.publication.clone();
        publication.catalog.published = connection.now();
        let plan = plan(&tables, &mut publication).await.map_err(|e| failed(&e))?;
        let publishes = args.yes && plan.refused.is_empty() && !plan.empty;
        if publishes {
            match catalog::publish_over(&tables, &publication, plan.over).await {
                Ok(()) => {}
                Err(CatalogError::Conflict) => continue,
                Err(error) => return Err(failed(&error)),
            }
        }
        if args.json {
            screen.line(&json!({"plan": plan, "published": publishes}).to_string());
        } else {
            tell(screen, &plan);
            conclude(screen, &plan, args.yes);
        }
        return Ok(if plan.refused.is_empty() { Exit::Right } else { Exit::Wrong });
    }
    Err(Failure::Stack("other publications kept coming between: try again".to_owned()))
}

/// Publishes without asking: what `local` and `demo` do with a stack of their own.
///
/// # Errors
/// Where the tables cannot be written.
pub async fn publish_to(
    tables: &impl Tables,
    publication: &Publication,
    now: Stamp,
) -> Result<(), Failure> {
    let mut publication = publication.clone();
    publication.catalog.published = now;
    let plan = plan(tables, &mut publication).await.map_err(|e| failed(&e))?;
    catalog::publish_over(tables, &publication, plan.over).await.map_err(|e| failed(&e))
}

fn failed(error: &CatalogError) -> Failure {
    Failure::Stack(error.to_string())
}

fn tell(screen: &Screen, plan: &Plan) {
    let sign = |change: Change| match change {
        Change::Added => screen.paint(Style::Good, "+"),
        Change::Changed => screen.paint(Style::Warn, "~"),
        Change::Removed => screen.paint(Style::Bad, "-"),
        Change::Same => screen.paint(Style::Faint, " "),
    };
    let customers = |n: usize| match n {
        1 => "1 customer".to_owned(),
        n => format!("{n} customers"),
    };
    for name in &plan.settings {
        let sign = if plan.first { sign(Change::Added) } else { sign(Change::Changed) };
        screen.line(&format!("{sign} {name}"));
    }
    for journey in &plan.journeys {
        let state = match journey.before {
            Some(before) if before != journey.after => {
                format!("{} → {}", word(before), word(journey.after))
            }
            _ => word(journey.after).to_owned(),
        };
        let waiting = match (journey.waiting, journey.change) {
            (0, _) => String::new(),
            (n, Change::Changed) => {
                format!("; {} waiting, who keep the steps they entered on", customers(n))
            }
            (n, _) => format!("; {} waiting", customers(n)),
        };
        screen.line(&format!(
            "{} journey {} ({state}){waiting}",
            sign(journey.change),
            journey.name
        ));
    }
    for mail in &plan.mails {
        let waiting = match (mail.waiting, mail.change) {
            (0, _) | (_, Change::Same | Change::Added) => String::new(),
            (n, Change::Removed) => {
                format!("; {} waiting for it would not get it", customers(n))
            }
            (n, Change::Changed) => format!("; {} waiting will get the new text", customers(n)),
        };
        screen.line(&format!("{} mail {}{waiting}", sign(mail.change), mail.name));
    }
    if !plan.to_fill.is_empty() {
        screen.line(&format!(
            "  profiles from before have no value of {} until `cargo odyssey backfill`, a minute after publishing",
            plan.to_fill.join(", ")
        ));
    }
    if !plan.to_find.is_empty() {
        screen.line(&format!(
            "  who of the profiles from before is in segment {} is not known until `cargo odyssey backfill`, a minute after publishing",
            plan.to_find.join(", ")
        ));
    }
    if !plan.to_arm.is_empty() {
        screen.line(&format!(
            "  customers who do nothing are not looked at for {} until `cargo odyssey backfill`, a minute after publishing",
            plan.to_arm.join(", ")
        ));
    }
    if plan.more_waiting {
        screen.line("more customers wait than were counted");
    }
    for reason in &plan.refused {
        screen.line(&format!("{} {reason}", screen.paint(Style::Bad, "refused:")));
    }
}

fn conclude(screen: &Screen, plan: &Plan, yes: bool) {
    let text = if !plan.refused.is_empty() {
        screen.paint(Style::Bad, "Nothing was published.")
    } else if plan.empty {
        "Nothing changes.".to_owned()
    } else if yes {
        let within = catalog::CATALOG_REFRESH;
        format!(
            "{} Running functions take it up within {within}.",
            screen.paint(Style::Good, "Published.")
        )
    } else {
        format!("This is the plan. {} publishes it.", screen.paint(Style::Name, "--yes"))
    };
    screen.line(&text);
}

const fn word(state: JourneyState) -> &'static str {
    match state {
        JourneyState::Draft => "draft",
        JourneyState::Live => "live",
        JourneyState::Paused => "paused",
        JourneyState::Archived => "archived",
    }
}
