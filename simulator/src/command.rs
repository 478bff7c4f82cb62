//! The commands on standard input.

use std::str::FromStr;

use tower_superoffice::{TenantId, simulator::Simulator, status::State};

use crate::args;

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
    Change { kind: Kind, tenant: TenantId, silently: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Upgrade,
    Suspend,
    Resume,
    Delete,
    Restore,
    Move,
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
    let kind = match verb {
        "upgrade" => Kind::Upgrade,
        "suspend" => Kind::Suspend,
        "resume" => Kind::Resume,
        "delete" => Kind::Delete,
        "restore" => Kind::Restore,
        "move" => Kind::Move,
        _ => return Err(unknown()),
    };
    Ok(Action::Change { kind, tenant: tenant(id)?, silently })
}

fn tenant(id: &str) -> Result<TenantId, String> {
    TenantId::new(id).map_err(|error| error.to_string())
}

fn unknown() -> String {
    "no such command: \"help\" lists them".to_owned()
}

impl Action {
    /// Runs it, and returns what to print.
    pub(crate) async fn run(self, simulator: &Simulator) -> String {
        match self {
            Self::Help => HELP.to_owned(),
            Self::Calls => {
                let (all, closed) = (simulator.all_calls(), simulator.calls_while_closed());
                format!("{all} calls, {closed} of them to closed tenants")
            }
            Self::SetState(tenant, state) => {
                simulator.set_state(&tenant, state);
                format!("{tenant} is {}", state.name())
            }
            Self::Change { kind, tenant, silently } => {
                let change = match kind {
                    Kind::Upgrade => simulator.upgrade(&tenant),
                    Kind::Suspend => simulator.suspend(&tenant),
                    Kind::Resume => simulator.resume(&tenant),
                    Kind::Delete => simulator.delete(&tenant),
                    Kind::Restore => simulator.restore(&tenant),
                    Kind::Move => simulator.move_tenant(&tenant),
                };
                if silently {
                    change.without_notification();
                    return format!("{tenant}: changed silently");
                }
                match change.await {
                    Ok(status) => format!("{tenant}: changed, answered {status}"),
                    Err(error) => format!("{tenant}: changed, but {error}"),
                }
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
            let change = Action::Change { kind: Kind::Suspend, tenant: cust1(), silently };
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
