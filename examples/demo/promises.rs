//! What the gate promises, and whether it was so.

/// What was promised and seen, in the order of the story.
#[derive(Default)]
pub struct Promises(Vec<(String, bool)>);

impl Promises {
    /// Notes a promise, and says at once when it is broken.
    pub fn note(&mut self, promise: impl Into<String>, kept: bool) {
        let promise = promise.into();
        if !kept {
            println!("        BROKEN: {promise}");
        }
        self.0.push((promise, kept));
    }

    pub fn all_kept(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, kept)| *kept)
    }

    /// The closing list.
    pub fn print(&self) {
        println!("\nPromises");
        for (promise, kept) in &self.0 {
            println!("  {}  {promise}", if *kept { "kept  " } else { "BROKEN" });
        }
        let broken = self.0.iter().filter(|(_, kept)| !kept).count();
        match broken {
            0 => println!("\nAll {} promises were kept.", self.0.len()),
            _ => println!("\n{broken} of {} promises were broken.", self.0.len()),
        }
    }
}
