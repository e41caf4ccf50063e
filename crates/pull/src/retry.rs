//! Pauses between attempts: longer every time, and not the same for everybody.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use agentkernel_types::ImageEvent;

use crate::{
    Patience, Progress,
    failure::{Again, Failure, Outcome},
};

pub(crate) struct Attempts<'a> {
    patience: Patience,
    progress: &'a Progress,
    what: String,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(patience: Patience, progress: &'a Progress, what: impl Into<String>) -> Self {
        Self {
            patience,
            progress,
            what: what.into(),
            failed: 0,
        }
    }

    /// Something was gained: the count begins again.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits, or gives the failure back if there is no point in going on.
    pub(crate) async fn pause(&mut self, failure: Failure, reached: bool) -> Outcome<()> {
        self.failed += 1;
        let wanted = match failure.again {
            Again::Never => return Err(failure),
            Again::IfReached if !reached => return Err(failure),
            Again::After(wait) if wait > self.patience.longest_pause => return Err(failure),
            Again::After(wait) => wait,
            Again::IfReached | Again::Soon => Duration::ZERO,
        };
        if self.failed >= self.patience.attempts {
            return Err(failure);
        }
        let pause = wanted.max(jittered(self.growing()));
        (self.progress)(ImageEvent::Retry {
            what: self.what.clone(),
            reason: failure.to_string(),
            pause_ms: pause.as_millis().try_into().unwrap_or(u64::MAX),
        });
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn growing(&self) -> Duration {
        let factor = 1 << (self.failed - 1).min(16);
        self.patience
            .pause
            .saturating_mul(factor)
            .min(self.patience.longest_pause)
    }
}

/// Between half and all of it: many that fail together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 512;
    pause.mul_f64((512 + random) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::failure::Reason;

    fn patience() -> Patience {
        Patience {
            pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(50),
            ..Patience::default()
        }
    }

    fn failing(again: Again) -> Failure {
        Failure::new(Reason::Protocol, "broke").again(again)
    }

    #[tokio::test]
    async fn the_fifth_failure_in_a_row_is_the_last() {
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&pauses);
        let progress: Progress = Arc::new(move |event| {
            if let ImageEvent::Retry { pause_ms, .. } = event {
                seen.lock().expect("no test panics with it").push(pause_ms);
            }
        });
        let mut attempts = Attempts::new(patience(), &progress, "a layer");
        for _ in 0..4 {
            attempts.pause(failing(Again::Soon), true).await.expect("goes on");
        }
        assert!(attempts.pause(failing(Again::Soon), true).await.is_err());
        let pauses = pauses.lock().expect("no test panics with it");
        assert_eq!(pauses.len(), 4);
        assert!(pauses[3] >= 8 && pauses[3] <= 16, "{pauses:?}");
    }

    #[tokio::test]
    async fn progress_starts_the_count_again() {
        let progress: Progress = Arc::new(|_| ());
        let mut attempts = Attempts::new(patience(), &progress, "a layer");
        for _ in 0..12 {
            attempts.pause(failing(Again::Soon), true).await.expect("goes on");
            attempts.progressed();
        }
    }

    #[tokio::test]
    async fn what_has_no_point_is_not_repeated() {
        let progress: Progress = Arc::new(|event| panic!("{event:?}"));
        let hopeless = [
            (Again::Never, true),
            (Again::IfReached, false),
            (Again::After(Duration::from_secs(3600)), true),
        ];
        for (again, reached) in hopeless {
            let mut attempts = Attempts::new(patience(), &progress, "a layer");
            assert!(
                attempts.pause(failing(again), reached).await.is_err(),
                "{again:?}"
            );
        }
    }
}
