//! What the domain promises, tested against a second and deliberately naive reading of it.

mod bytes;
mod delivery;
mod every_story;
mod joins;
mod model;
mod sentences;
mod strategies;
