//! The suite that every backend must pass, chosen by the capabilities it declares.
//!
//! A backend implements [`Harness`] in its own tests and runs [`suite!`] with it. What a backend declares is tested
//! for being true, and what it does not declare for being refused by name. [`fake`] is a backend in memory that
//! passes the suite, and fails it for each planted [`fake::Fault`]: so the suite itself is tested.
//!
//! A dev-dependency only: nothing of this is part of the product.

mod cases;
pub mod fake;
mod harness;
mod program;
mod run;
mod scene;

pub use cases::cases;
pub use harness::Harness;
pub use program::Program;
pub use run::{Case, Report, assert_suite, run_case, run_suite};
pub use scene::{Failure, Outcome, Scene, Verdict};
