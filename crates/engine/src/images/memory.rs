//! Which registries could not be reached a short while ago: an offline machine must not wait for that in every run.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// How long it is remembered.
const SPAN: Duration = Duration::from_secs(600);

pub(super) struct Memory(PathBuf);

impl Memory {
    /// `cache`: our cache folder. The host of a registry is a plain file name but for its colon.
    pub(super) fn of(cache: &std::path::Path, registry: &str) -> Self {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                c
            } else {
                '_'
            }
        };
        Self(
            cache
                .join("unreachable")
                .join(registry.chars().map(plain).collect::<String>()),
        )
    }

    /// Why it could not be reached, if that was a short while ago.
    pub(super) fn recall(&self) -> Option<String> {
        let changed = fs::metadata(&self.0).ok()?.modified().ok()?;
        // A time in the future is no memory: the clock was set.
        let age = SystemTime::now().duration_since(changed).ok()?;
        if age > SPAN {
            return None;
        }
        fs::read_to_string(&self.0).ok()
    }

    /// Best effort: without it the next run only waits again.
    pub(super) fn keep(&self, why: &str) {
        if let Some(folder) = self.0.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let _ = fs::write(&self.0, why);
    }

    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_recalled_until_it_is_forgotten_or_old() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let memory = Memory::of(folder.path(), "[::1]:5000");
        assert_eq!(memory.recall(), None);
        memory.keep("refused");
        assert_eq!(memory.recall().as_deref(), Some("refused"));
        let old = SystemTime::now() - SPAN - Duration::from_secs(1);
        fs::File::options()
            .write(true)
            .open(&memory.0)
            .and_then(|file| file.set_modified(old))
            .expect("it can be made older");
        assert_eq!(memory.recall(), None);
        memory.keep("refused");
        memory.forget();
        assert_eq!(memory.recall(), None);
    }

    #[test]
    fn no_host_leads_out_of_the_folder() {
        let path = Memory::of(std::path::Path::new("/cache"), "../../etc").0;
        assert_eq!(path, PathBuf::from("/cache/unreachable/.._.._etc"));
    }
}
