//! The file of tenants to pull at the start.

use std::{fs, path::Path};

use tower_superoffice::TenantId;

use crate::BoxError;

/// Reads the tenants in `file`.
pub(super) fn read(file: &Path) -> Result<Vec<TenantId>, BoxError> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("--track {}: {error}", file.display()))?;
    parse(&text).map_err(|line| {
        let file = file.display();
        format!("--track {file}: line {line} is no tenant id: write one id a line").into()
    })
}

/// Returns the tenants in `text`, or the number of the first line that is not one.
fn parse(text: &str) -> Result<Vec<TenantId>, usize> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let lines =
        lines.map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()));
    let ids = lines.filter(|(_, line)| !line.is_empty());
    ids.map(|(number, id)| TenantId::new(id).map_err(|_| number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_has_comments_and_blank_lines() {
        let tenants = parse("\u{feff}# ours\r\nCust1\r\n\n  Cust2 # the second\n#Cust3\n").unwrap();
        assert_eq!(tenants, ["Cust1", "Cust2"].map(|id| TenantId::new(id).unwrap()));
        assert_eq!(parse(""), Ok(Vec::new()));
        assert_eq!(parse("Cust1\n\nno id!\n"), Err(3));
        assert_eq!(parse("Cust1, Cust2"), Err(1));
    }
}
