//! Parses the arguments and the environment into [`Args`].

use std::{env, ffi::OsString, fs};

use clap::{
    ArgMatches, CommandFactory, FromArgMatches,
    error::{Error, ErrorKind},
    parser::ValueSource,
};

use super::{
    Args, Command, EnvironmentArgs, Target,
    token::{self, OperatorToken},
};

/// Names a file that holds the value of `--store`.
const STORE_FILE: &str = "SUPEROFFICE_GATEWAY_STORE_FILE";

/// Variables that hold a secret, or name its file, and are no flags.
#[derive(Default)]
struct Secrets {
    store_file: Option<OsString>,
    operator_token: Option<OsString>,
}

impl Secrets {
    fn from_env() -> Self {
        Self { store_file: env::var_os(STORE_FILE), operator_token: env::var_os(token::TOKEN) }
    }
}

/// The task of the process.
pub(crate) enum Invocation {
    /// Serve as a gateway.
    Serve(Box<Args>),
    /// Send a request to one.
    Command(Box<Command>, Target),
}

impl Invocation {
    fn from_matches(matches: &ArgMatches, secrets: &Secrets) -> Result<Self, Error> {
        if matches.subcommand_name().is_none() {
            return Ok(Self::Serve(Box::new(Args::from_matches(matches, secrets)?)));
        }
        let args = Args::from_arg_matches(matches)?;
        let listen = args.internal_listen.unwrap_or(args.listen);
        let command = args.command.ok_or_else(|| error(ErrorKind::MissingSubcommand, ""))?;
        let token = secrets.operator_token.as_deref();
        let target = Target::new(command.connection(), token, listen)
            .map_err(|message| error(ErrorKind::ValueValidation, message))?;
        Ok(Self::Command(Box::new(command), target))
    }
}

impl Args {
    /// Parses the command line and the environment; exits when they are invalid or ask for help.
    pub(crate) fn parse() -> Invocation {
        let matches = Self::command().get_matches();
        let secrets = Secrets::from_env();
        Invocation::from_matches(&matches, &secrets).unwrap_or_else(|error| error.exit())
    }

    fn from_matches(matches: &ArgMatches, secrets: &Secrets) -> Result<Self, Error> {
        let mut args = Self::from_arg_matches(matches)?;
        let source = |id| matches.value_source(id);
        for (id, list) in [
            ("audience", &mut args.audience),
            ("issuer", &mut args.issuer),
            ("tenant_host", &mut args.tenant_host),
        ] {
            if source(id) == Some(ValueSource::EnvVariable) {
                *list = split_list(list);
            }
        }
        // With one environment each of these is one value, commas and all.
        let lists = [("any_audience", &mut args.any_audience), ("key_url", &mut args.key_url)];
        for (id, list) in lists.into_iter().filter(|_| args.environment.len() > 1) {
            if source(id) == Some(ValueSource::EnvVariable) {
                *list = split_list(list);
            }
        }
        let lists = [("certificate", &mut args.certificate), ("jwks", &mut args.jwks)];
        for (id, list) in lists.into_iter().filter(|_| args.environment.len() > 1) {
            if source(id) == Some(ValueSource::EnvVariable) {
                *list = split_paths(list);
            }
        }
        if let Some(file) = &secrets.store_file {
            if source("store") != Some(ValueSource::DefaultValue) {
                let message = format!("{STORE_FILE} cannot be used with '--store <STORE>'");
                return Err(error(ErrorKind::ArgumentConflict, message));
            }
            let text = fs::read_to_string(file).map_err(|cause| {
                let message = format!("{STORE_FILE}: {}: {cause}", file.to_string_lossy());
                error(ErrorKind::Io, message)
            })?;
            text.trim().clone_into(&mut args.store);
        }
        let token_file = args.operator_token_file.as_deref();
        args.operator_token =
            OperatorToken::from_sources(token_file, secrets.operator_token.as_deref())
                .map_err(|message| error(ErrorKind::ValueValidation, message))?;
        args.environments = EnvironmentArgs::of(&args)?;
        Ok(args)
    }
}

pub(super) fn error(kind: ErrorKind, message: impl std::fmt::Display) -> Error {
    Args::command().error(kind, message)
}

/// Splits the value of a variable at its commas.
fn split_list(values: &[String]) -> Vec<String> {
    let items = values.iter().flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Splits a list of files at its commas; one that is not Unicode is left as it is.
fn split_paths(values: &[OsString]) -> Vec<OsString> {
    let split = |value: &OsString| match value.to_str() {
        Some(text) => split_list(&[text.to_owned()]).into_iter().map(OsString::from).collect(),
        None => vec![value.clone()],
    };
    values.iter().flat_map(split).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn every_flag_has_its_environment_variable() {
        for argument in Args::command().get_arguments() {
            let flag = argument.get_long().unwrap();
            let variable = format!("SUPEROFFICE_GATEWAY_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env(), Some(OsStr::new(&variable)), "--{flag}");
        }
    }

    #[test]
    fn every_flag_has_a_help_text() {
        let command = Args::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            assert!(command.get_about().is_some(), "{command}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{command} {argument}");
            }
        }
    }

    #[test]
    fn list_of_a_variable_has_commas() {
        let values = ["one, two,,three ".to_owned()];
        assert_eq!(split_list(&values), ["one", "two", "three"]);
    }

    #[test]
    fn commas_on_the_command_line_stay() {
        let line = ["gateway", "--base-url", "http://127.0.0.1:1", "--audience", "a,b"];
        let matches = Args::command().get_matches_from(line);
        assert_eq!(Args::from_matches(&matches, &Secrets::default()).unwrap().audience, ["a,b"]);
    }
}
