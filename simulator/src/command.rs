//! The commands on standard input.

use std::str::FromStr;

use tower_superoffice::{TenantId, status::State};

use crate::{
    args,
    driver::{Driver, Outcome, Verb},
};

const HELP: &str = "\
upgrade TENANT [silently]   closes it until it is resumed, as an upgrade does
suspend TENANT [silently]   closes it until it is resumed
resume TENANT [silently]    opens it
delete TENANT [silently]    deletes it
restore TENANT [silently]   restores it from a backup
move TENANT [silently]      moves it to the next port
state TENANT STATE          puts it in a state of SuperOffice's, and notifies nothing
calls                       prints how many calls arrived, and how many at closed tenants
quit                        ends
A change is posted to the State Change URL; with \"silently\" its notification is lost.";

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// An empty line, or a comment.
    Nothing,
    Quit,
    Do(Action),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Help,
    Calls,
    SetState(TenantId, State),
    Change { verb: Verb, tenant: TenantId, silently: bool },
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let action = match words.as_slice() {
            [] => return Ok(Self::Nothing),
            ["quit"] => return Ok(Self::Quit),
            ["help"] => Action::Help,
            ["calls"] => Action::Calls,
            ["state", id, name] => Action::SetState(tenant(id)?, args::state(name)?),
            [verb, id] => change(verb, id, false)?,
            [verb, id, "silently"] => change(verb, id, true)?,
            _ => return Err(unknown()),
        };
        Ok(Self::Do(action))
    }
}

fn change(verb: &str, id: &str, silently: bool) -> Result<Action, String> {
    let verb = Verb::from_name(verb).ok_or_else(unknown)?;
    Ok(Action::Change { verb, tenant: tenant(id)?, silently })
}

fn tenant(id: &str) -> Result<TenantId, String> {
    TenantId::new(id).map_err(|error| error.to_string())
}

fn unknown() -> String {
    "no such command: \"help\" lists them".to_owned()
}

impl Action {
    /// Runs it, and returns what to print.
    pub(crate) async fn run(self, driver: &Driver) -> String {
        match self {
            Self::Help => HELP.to_owned(),
            Self::Calls => {
                let simulator = driver.simulator();
                let (all, closed) = (simulator.all_calls(), simulator.calls_while_closed());
                format!("{all} calls, {closed} of them to closed tenants")
            }
            Self::SetState(tenant, state) => {
                driver.set_state(&tenant, state);
                format!("{tenant} is {}", state.name())
            }
            Self::Change { verb, tenant, silently } => {
                let sent = driver.change(verb, &tenant, silently).await;
                let line = |outcome: &Outcome| match outcome {
                    Outcome::Silent => format!("{tenant}: changed silently"),
                    outcome => format!("{tenant}: changed, {outcome}"),
                };
                sent.iter().map(|sent| line(&sent.outcome)).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_to_commands() {
        let cust1 = || TenantId::new("Cust1").unwrap();
        let suspend = |silently| {
            let change = Action::Change { verb: Verb::Suspend, tenant: cust1(), silently };
            Ok(Command::Do(change))
        };
        assert_eq!("suspend Cust1".parse(), suspend(false));
        assert_eq!(" suspend  Cust1\tsilently # lost".parse(), suspend(true));
        let state = Action::SetState(cust1(), State::Suspended);
        assert_eq!("state Cust1 Suspended".parse(), Ok(Command::Do(state)));
        assert_eq!("# nothing".parse(), Ok(Command::Nothing));
        assert_eq!("quit".parse(), Ok(Command::Quit));
    }

    #[test]
    fn lines_that_are_no_commands_are_refused() {
        for line in
            ["suspend", "suspend Cust1 loudly", "hang Cust1", "suspend a/b", "state Cust1 Asleep"]
        {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }
}
