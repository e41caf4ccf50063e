//! ENTRYPOINT and CMD, by Docker's rules.

use std::ffi::OsString;

use agentkernel_types::Command;

use super::ImageConfig;
use crate::Result;

impl ImageConfig {
    /// What runs when the user gave `args`, and `entrypoint` in place of the image's own.
    ///
    /// - `args` replace CMD;
    /// - an entrypoint of the user's drops the image's CMD with the image's ENTRYPOINT;
    /// - the entrypoint `[""]` (`--entrypoint ""`) means none: then `args` are all there is;
    /// - an empty list only takes the image's ENTRYPOINT away and leaves its CMD.
    ///
    /// None: there is nothing to run, and the user must name a command.
    pub fn command(&self, entrypoint: Option<&[String]>, args: &[OsString]) -> Result<Option<Command>> {
        let overridden = entrypoint.is_some_and(|words| !words.is_empty());
        let entrypoint = entrypoint.unwrap_or(&self.entrypoint);
        let none = matches!(entrypoint, [only] if only.is_empty());
        let entrypoint = if none { &[] } else { entrypoint };
        let mut words: Vec<OsString> = entrypoint.iter().map(OsString::from).collect();
        if !args.is_empty() {
            words.extend_from_slice(args);
        } else if !overridden {
            words.extend(self.cmd.iter().map(OsString::from));
        }
        if words.is_empty() {
            return Ok(None);
        }
        Ok(Some(Command::new(words)?))
    }
}
