//! The checks that a scenario makes, and their results.

/// Checks in the order in which they were made, each with whether it passed.
#[derive(Default)]
pub struct Checks(Vec<(String, bool)>);

impl Checks {
    /// Records a check, and prints it at once when it failed.
    pub fn record(&mut self, check: impl Into<String>, passed: bool) {
        let check = check.into();
        if !passed {
            println!("        FAILED: {check}");
        }
        self.0.push((check, passed));
    }

    pub fn all_passed(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, passed)| *passed)
    }

    /// Prints the closing list.
    pub fn print(&self) {
        println!("\nChecks");
        for (check, passed) in &self.0 {
            println!("  {}  {check}", if *passed { "passed" } else { "FAILED" });
        }
        let failed = self.0.iter().filter(|(_, passed)| !passed).count();
        match failed {
            0 => println!("\nAll {} checks passed.", self.0.len()),
            _ => println!("\n{failed} of {} checks failed.", self.0.len()),
        }
    }
}
