//! What accompanies every call.

use std::time::{Duration, Instant};

use agentkernel_types::ErrorKind;

use crate::{Error, Result};

/// A deadline. Every call returns by then, with `TimedOut` and nothing left half-made.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    deadline: Instant,
}

impl Context {
    /// Long enough for any single step of a healthy backend.
    pub const DEFAULT: Duration = Duration::from_secs(60);

    pub fn within(limit: Duration) -> Self {
        Self {
            deadline: Instant::now() + limit,
        }
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until the deadline; dropping it then must clean up, as everywhere in the contract.
    pub async fn bound<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout_at(self.deadline.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                ErrorKind::TimedOut,
                operation,
                format!("{operation} did not finish in time"),
            )),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::within(Self::DEFAULT)
    }
}
