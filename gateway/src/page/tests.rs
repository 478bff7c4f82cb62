//! The page, rendered in process.
