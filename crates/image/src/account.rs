//! Which user of an image a name stands for.

use agentkernel_types::{ErrorKind, GuestPath, UserSpec};

use crate::{Account, Error, Image, Result};

/// A user inside an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageUser {
    pub uid: u32,
    pub gid: u32,
    /// None: the image has no account with this uid.
    pub name: Option<String>,
    /// `/` where the image does not say.
    pub home: GuestPath,
}

impl Image {
    /// The user that `spec` names; without one the image's own; without that root.
    pub fn user(&self, spec: Option<&UserSpec>) -> Result<ImageUser> {
        match (spec, &self.config.user) {
            (Some(spec), _) => self.find_user(spec.user(), spec.group()),
            (None, Some(text)) => {
                // Docker takes `user:` as `user`, and `:group` as root with that group.
                let (user, group) = match text.split_once(':') {
                    Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
                    None => (text.as_str(), None),
                };
                self.find_user(if user.is_empty() { "0" } else { user }, group)
            }
            (None, None) => self.find_user("0", None),
        }
    }

    fn find_user(&self, user: &str, group: Option<&str>) -> Result<ImageUser> {
        // A name wins over a number, as with Docker: an account may be called `1000`.
        let users = &self.accounts.users;
        let account = users.iter().find(|account| account.name == user);
        let (uid, account) = match (account, parse_id(user)) {
            (Some(account), _) => (account.uid, Some(account)),
            (None, Some(uid)) => (uid, users.iter().find(|account| account.uid == uid)),
            (None, None) => {
                let known = users.iter().map(|account| account.name.as_str());
                return Err(unknown("user", user, known));
            }
        };
        let gid = match group {
            Some(group) => self.find_group(group)?,
            None => account.map_or(0, |account| account.gid),
        };
        Ok(ImageUser {
            uid,
            gid,
            name: account.map(|account| account.name.clone()),
            home: account
                .and_then(|account: &Account| account.home.clone())
                .unwrap_or_else(GuestPath::root),
        })
    }

    fn find_group(&self, group: &str) -> Result<u32> {
        let groups = &self.accounts.groups;
        groups
            .iter()
            .find(|(name, _)| name == group)
            .map(|(_, gid)| *gid)
            .or_else(|| parse_id(group))
            .ok_or_else(|| unknown("group", group, groups.iter().map(|(name, _)| name.as_str())))
    }
}

/// The largest one means "no change" to the kernel and is nobody's.
fn parse_id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    const SHOWN: usize = 20;
    let known: Vec<&str> = known.take(SHOWN + 1).collect();
    let shown = known[..known.len().min(SHOWN)].join(", ");
    let hint = match known.len() {
        0 => format!("the image lists no {what}s: use a number"),
        1..=SHOWN => format!("it has {shown}; a number works, too"),
        _ => format!("it has {shown} and more; a number works, too"),
    };
    Error::new(
        ErrorKind::InvalidSpec,
        "image",
        format!("the image has no {what} called {name:?}"),
    )
    .with("field", "user")
    .hint(hint)
}
