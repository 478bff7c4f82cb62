//! The file of tenants to pull at the start.

use std::{fs, path::Path};

use tower_superoffice::TenantId;

use crate::BoxError;

/// Reads the tenants in `file`, a list for each of `environments`.
pub(super) fn read(file: &Path, environments: &[String]) -> Result<Vec<Vec<TenantId>>, BoxError> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("--track {}: {error}", file.display()))?;
    parse(&text, environments).map_err(|line| {
        let file = file.display();
        let advice = match environments {
            [_] => "is no tenant id: write one id a line",
            _ => "is no environment/id: write one a line, of the environments that are served",
        };
        format!("--track {file}: line {line} {advice}").into()
    })
}

/// Returns the tenants in `text`, or the number of the first line that is not one. With several
/// environments a line begins with the name of its own.
fn parse(text: &str, environments: &[String]) -> Result<Vec<Vec<TenantId>>, usize> {
    let mut tenants = vec![Vec::new(); environments.len()];
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let (environment, id) = match environments {
            [_] => (0, line),
            _ => {
                let (name, id) = line.split_once('/').ok_or(number)?;
                (environments.iter().position(|known| known == name).ok_or(number)?, id)
            }
        };
        let id = TenantId::new(id).map_err(|_| number)?;
        tenants.get_mut(environment).ok_or(number)?.push(id);
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>(ids: [&str; N]) -> Vec<TenantId> {
        ids.map(|id| TenantId::new(id).unwrap()).to_vec()
    }

    #[test]
    fn list_has_comments_and_blank_lines() {
        fn parse(text: &str) -> Result<Vec<Vec<TenantId>>, usize> {
            super::parse(text, &["sod".to_owned()])
        }
        let tenants = parse("\u{feff}# ours\r\nCust1\r\n\n  Cust2 # the second\n#Cust3\n");
        assert_eq!(tenants, Ok(vec![ids(["Cust1", "Cust2"])]));
        assert_eq!(parse(""), Ok(vec![Vec::new()]));
        assert_eq!(parse("Cust1\n\nno id!\n"), Err(3));
        assert_eq!(parse("Cust1, Cust2"), Err(1));
        assert_eq!(parse("sod/Cust1"), Err(1));
    }

    #[test]
    fn line_names_its_environment_with_several() {
        let environments = ["sod", "stage"].map(str::to_owned);
        let tenants = parse("stage/Cust1\nsod/Cust1 # same id\n\nstage/Cust2\n", &environments);
        assert_eq!(tenants, Ok(vec![ids(["Cust1"]), ids(["Cust1", "Cust2"])]));
        for line in ["Cust1", "production/Cust1", "SOD/Cust1", "sod/", "sod/Cust1/x", "sod\\Cust1"]
        {
            let text = format!("sod/Cust0\n{line}");
            assert_eq!(parse(&text, &environments), Err(2), "{line}");
        }
    }
}
