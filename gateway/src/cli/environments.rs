//! The options that each environment has for itself.
//!
//! With several environments these values are written NAME=VALUE. With one, the name is optional,
//! so that a gateway which goes from several environments to one keeps its values.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use axum::http::Uri;
use clap::{
    ValueEnum,
    error::{Error, ErrorKind},
};
use tower_superoffice::Environment;

use super::{Args, NamedEnvironment, parse::error};

/// An environment, and the values that differ between environments.
#[derive(Debug)]
pub(super) struct EnvironmentArgs {
    pub(super) environment: Environment,
    pub(super) audiences: Vec<String>,
    pub(super) any_audience: bool,
    pub(super) issuers: Vec<String>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) jwks: Option<PathBuf>,
    pub(super) key_url: Option<Uri>,
}

impl EnvironmentArgs {
    /// Returns the environments of `args`, in their order.
    pub(super) fn of(args: &Args) -> Result<Vec<Self>, Error> {
        let names = Names::new(&args.environment)?;
        if names.0.len() > 1 && args.upstream.is_some() {
            return Err(error(
                ErrorKind::ArgumentConflict,
                "the argument '--upstream <URL>' cannot be used with several '--environment <NAME>'",
            ));
        }
        let mut audiences = names.share("--audience", &args.audience)?.into_iter();
        let mut any_audience = names.share("--any-audience", &args.any_audience)?.into_iter();
        let mut issuers = names.share("--issuer", &args.issuer)?.into_iter();
        let mut certificates = names.share("--certificate", &args.certificate)?.into_iter();
        let mut jwks = names.share("--jwks", &args.jwks)?.into_iter();
        let mut key_urls = names.share("--key-url", &args.key_url)?.into_iter();
        let mut environments = Vec::new();
        for environment in args.named_or_custom() {
            let this = Self {
                environment,
                audiences: audiences.next().unwrap_or_default(),
                any_audience: any_audience.next().map_or(Ok(false), is_any)?,
                issuers: issuers.next().unwrap_or_default(),
                certificate: only("--certificate", certificates.next())?.map(PathBuf::from),
                jwks: only("--jwks", jwks.next())?.map(PathBuf::from),
                key_url: only("--key-url", key_urls.next())?.map(url).transpose()?,
            };
            this.check_audience(names.0.len() > 1)?;
            environments.push(this);
        }
        Ok(environments)
    }

    /// Requires an audience, or `--any-audience`. Clap would count a variable that says `false` as
    /// given.
    fn check_audience(&self, several: bool) -> Result<(), Error> {
        let name = match several {
            true => format!("{}=", self.environment.name()),
            false => String::new(),
        };
        match (self.audiences.is_empty(), self.any_audience) {
            (false, true) => Err(error(
                ErrorKind::ArgumentConflict,
                format!(
                    "the argument '--any-audience' cannot be used with '--audience <{name}ID>'"
                ),
            )),
            (true, false) => Err(error(
                ErrorKind::MissingRequiredArgument,
                format!(
                    "the following required arguments were not provided:\n  --audience <{name}ID>"
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Args {
    fn named_or_custom(&self) -> Vec<Environment> {
        if !self.environment.is_empty() {
            return self.environment.iter().map(|&name| name.into()).collect();
        }
        let base = self.base_url.clone().unwrap_or_default();
        vec![if self.tenant_host.is_empty() {
            Environment::custom(base)
        } else {
            Environment::custom_with_hosts(base, self.tenant_host.clone())
        }]
    }
}

/// The names of the environments that are served; none when it is a custom one.
struct Names(Vec<String>);

impl Names {
    fn new(environments: &[NamedEnvironment]) -> Result<Self, Error> {
        for (index, environment) in environments.iter().enumerate() {
            if environments.iter().skip(index + 1).any(|other| other == environment) {
                return Err(error(
                    ErrorKind::ArgumentConflict,
                    "two '--environment <NAME>' are the same",
                ));
            }
        }
        Ok(Self(environments.iter().map(|&name| Environment::from(name).name()).collect()))
    }

    /// Sorts the values of `flag` by environment, without its name.
    fn share<V: Named>(&self, flag: &str, values: &[V]) -> Result<Vec<Vec<V>>, Error> {
        let mut shares = vec![Vec::new(); self.0.len().max(1)];
        for value in values {
            let (index, value) = self.owner(flag, value)?;
            if let Some(share) = shares.get_mut(index) {
                share.push(value);
            }
        }
        Ok(shares)
    }

    /// Returns the number of the environment that a value is for, and the value without its name.
    fn owner<V: Named>(&self, flag: &str, value: &V) -> Result<(usize, V), Error> {
        if let Some((name, rest)) = value.split_name() {
            if let Some(index) = self.0.iter().position(|known| known == name) {
                return Ok((index, rest));
            }
            if !self.0.is_empty() && NamedEnvironment::from_str(name, false).is_ok() {
                let message = format!("'{flag} {name}=..' needs '--environment {name}'");
                return Err(error(ErrorKind::MissingRequiredArgument, message));
            }
        }
        if self.0.len() < 2 {
            return Ok((0, value.clone()));
        }
        let names = self.0.join(", ");
        let message = format!(
            "with several environments '{flag}' takes NAME=VALUE, where NAME is one of: {names}"
        );
        Err(error(ErrorKind::ValueValidation, message))
    }
}

/// A value that may begin with the name of an environment.
trait Named: Clone {
    /// Splits a name off; `None` when there is none.
    fn split_name(&self) -> Option<(&str, Self)>;
}

impl Named for String {
    fn split_name(&self) -> Option<(&str, Self)> {
        let (name, value) = self.split_once('=')?;
        Some((name, value.to_owned()))
    }
}

impl Named for OsString {
    fn split_name(&self) -> Option<(&str, Self)> {
        // No name is found in a path that is not Unicode.
        let (name, value) = OsStr::to_str(self)?.split_once('=')?;
        Some((name, value.into()))
    }
}

/// Returns the one value of a flag that an environment has once.
fn only<V>(flag: &str, values: Option<Vec<V>>) -> Result<Option<V>, Error> {
    let mut values = values.unwrap_or_default().into_iter();
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(error(
            ErrorKind::ArgumentConflict,
            format!("the argument '{flag}' cannot be used multiple times for one environment"),
        )),
    }
}

fn url(text: String) -> Result<Uri, Error> {
    text.parse().map_err(|cause| {
        error(ErrorKind::ValueValidation, format!("invalid value for '--key-url': {cause}"))
    })
}

/// Reads the values of `--any-audience` for an environment, as clap reads those of other switches.
fn is_any(values: Vec<String>) -> Result<bool, Error> {
    let Some(value) = only("--any-audience", Some(values))? else { return Ok(false) };
    match value.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Ok(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Ok(false),
        _ => Err(error(
            ErrorKind::ValueValidation,
            "invalid value for '--any-audience': value was not a boolean",
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    fn parse(line: &str) -> Result<Vec<EnvironmentArgs>, String> {
        let line = std::iter::once("gateway").chain(line.split(' '));
        let matches = Args::command().try_get_matches_from(line).map_err(|e| e.to_string())?;
        let args = Args::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        EnvironmentArgs::of(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn value_belongs_to_the_environment_that_it_names() {
        let environments = parse(
            "--environment stage --environment sod --audience sod=a=b --audience sod=c \
             --any-audience stage=true --issuer stage=i --certificate sod=/sod.pem \
             --jwks stage=/stage.json --key-url stage=https://example.org/keys?a=b",
        );
        let [stage, sod] = <[EnvironmentArgs; 2]>::try_from(environments.unwrap()).unwrap();
        assert_eq!(
            (&stage.environment, &sod.environment),
            (&Environment::Stage, &Environment::Sod)
        );
        assert_eq!((stage.audiences, stage.any_audience), (Vec::new(), true));
        assert_eq!((sod.audiences, sod.any_audience), (vec!["a=b".into(), "c".into()], false));
        assert_eq!((stage.issuers, sod.issuers), (vec!["i".to_owned()], Vec::new()));
        assert_eq!((stage.certificate, sod.certificate), (None, Some("/sod.pem".into())));
        assert_eq!((stage.jwks, sod.jwks), (Some("/stage.json".into()), None));
        assert_eq!(stage.key_url.unwrap(), "https://example.org/keys?a=b");
        assert_eq!(sod.key_url, None);
    }

    #[test]
    fn one_environment_needs_no_names_and_may_have_its_own() {
        for line in [
            "--environment sod --audience a",
            "--environment sod --audience sod=a",
            "--base-url http://127.0.0.1:1 --audience a",
        ] {
            assert_eq!(parse(line).unwrap()[0].audiences, ["a"], "{line}");
        }
        let custom = parse("--base-url http://127.0.0.1:1 --audience sod=a").unwrap();
        assert_eq!(custom[0].audiences, ["sod=a"]);
        assert!(parse("--environment sod --any-audience").unwrap()[0].any_audience);
    }

    #[test]
    fn values_of_no_environment_are_refused() {
        let two = "--environment sod,stage --any-audience sod=true --any-audience stage=true";
        for (line, said) in [
            ("--environment sod --environment sod --any-audience", "are the same"),
            ("--environment sod --audience stage=a", "--environment stage"),
            ("--environment sod,stage --any-audience", "'--any-audience' takes NAME=VALUE"),
            ("--environment sod,stage --audience a", "one of: sod, stage"),
            ("--environment sod,stage --audience SOD=a", "one of: sod, stage"),
            ("--environment sod,stage --audience sod=a", "--audience <stage=ID>"),
            ("--environment sod,stage --audience production=a", "--environment production"),
            (&format!("{two} --audience sod=a"), "cannot be used with '--audience <sod=ID>'"),
            (&format!("{two} --upstream http://x"), "'--upstream <URL>' cannot be used"),
            (&format!("{two} --base-url http://127.0.0.1:1"), "--base-url"),
            (&format!("{two} --certificate /x"), "'--certificate' takes NAME=VALUE"),
            (&format!("{two} --jwks sod=/x --jwks sod=/y"), "'--jwks' cannot be used multiple"),
            (&format!("{two} --key-url sod=::"), "--key-url"),
            ("--environment sod --any-audience maybe", "not a boolean"),
        ] {
            let refusal = parse(line).unwrap_err();
            assert!(refusal.contains(said), "{line}: {refusal}");
        }
    }
}
