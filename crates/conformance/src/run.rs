//! Picks the cases that a backend's capabilities call for and runs them.

use std::sync::Arc;

use agentkernel_backend::Capabilities;
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{Failure, Harness, Scene, Verdict, cases};

/// One promise of the contract. The name is the promise.
#[derive(Clone, Copy)]
pub struct Case {
    /// A sentence in snake case.
    pub name: &'static str,
    /// Whether a backend with these capabilities has made the promise.
    pub needs: fn(&Capabilities) -> bool,
    pub run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, Verdict>,
}

/// How a backend did.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: Vec<&'static str>,
    pub skipped: Vec<&'static str>,
    /// Each with the reason.
    pub failed: Vec<(&'static str, String)>,
}

impl Report {
    pub fn summary(&self) -> String {
        let mut text = format!(
            "conformance: {} run, {} skipped",
            self.passed.len() + self.failed.len(),
            self.skipped.len()
        );
        for (name, why) in &self.failed {
            text.push_str(&format!("\n  {name}: {why}"));
        }
        text
    }
}

/// Runs one case on its own stage, within a limit, and cleans up behind it. None: not called for.
pub async fn run_case(case: &Case, harness: &Arc<dyn Harness>) -> Option<Result<(), String>> {
    if !(case.needs)(harness.backend().capabilities()) {
        return None;
    }
    let scene = Scene::new(harness.clone());
    let attempt = std::panic::AssertUnwindSafe((case.run)(&scene)).catch_unwind();
    let verdict = match tokio::time::timeout(Scene::LIMIT, attempt).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => Err(Failure("panicked".to_owned())),
        Err(_) => Err(Failure(format!(
            "did not end within {} s",
            Scene::LIMIT.as_secs()
        ))),
    };
    let cleaned = scene.clean().await;
    Some(verdict.and(cleaned).map_err(|failure| failure.0))
}

/// Runs every case that the capabilities call for, one after the other.
pub async fn run_suite(harness: Arc<dyn Harness>) -> Report {
    let mut report = Report::default();
    for case in cases() {
        match run_case(&case, &harness).await {
            None => report.skipped.push(case.name),
            Some(Ok(())) => report.passed.push(case.name),
            Some(Err(why)) => report.failed.push((case.name, why)),
        }
    }
    report
}

/// Runs the suite; panics with every broken promise by name.
pub async fn assert_suite(harness: Arc<dyn Harness>) -> Report {
    let report = run_suite(harness).await;
    assert!(report.failed.is_empty(), "{}", report.summary());
    report
}

/// Makes the test `conformance` out of an expression that gives a [`Harness`].
#[macro_export]
macro_rules! suite {
    ($harness:expr) => {
        #[tokio::test]
        async fn conformance() {
            let harness: ::std::sync::Arc<dyn $crate::Harness> = ::std::sync::Arc::new($harness);
            let report = $crate::assert_suite(harness).await;
            println!("{}", report.summary());
        }
    };
}
