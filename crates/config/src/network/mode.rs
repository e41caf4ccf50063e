//! The mode, source by source. The profile gives it as long as nobody has said one.

use agentkernel_types::{NetworkMode, Profile};

use crate::{Origin, Setting};

/// What a source says about the mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Some network: the profile's, or `public` where that is `none`.
    Granted,
    Exactly(NetworkMode),
}

impl Wish {
    pub const fn mode(self, profile: Profile) -> NetworkMode {
        match (self, profile.grants().network) {
            (Self::Exactly(mode), _) => mode,
            (Self::Granted, NetworkMode::None) => NetworkMode::Public,
            (Self::Granted, mode) => mode,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Mode {
    pub profile: Setting<Profile>,
    said: Option<Setting<Wish>>,
}

impl Default for Mode {
    fn default() -> Self {
        Self::of(Setting::new(Profile::default(), Origin::Default))
    }
}

impl Mode {
    pub const fn of(profile: Setting<Profile>) -> Self {
        Self { profile, said: None }
    }

    pub fn value(&self) -> NetworkMode {
        let profile = self.profile.value;
        match &self.said {
            Some(said) => said.value.mode(profile),
            None => profile.grants().network,
        }
    }

    pub fn origin(&self) -> Origin {
        match &self.said {
            Some(said) => said.origin.clone(),
            None => Origin::Profile,
        }
    }

    /// Whether a stronger source than that of the list has decided the mode.
    pub fn is_decided_above(&self, list: &Origin) -> bool {
        let origin = match self.origin() {
            Origin::Profile => self.profile.origin.clone(),
            origin => origin,
        };
        rank(&origin) > rank(list)
    }

    /// A stronger source's profile takes back what weaker sources granted; it does not lift what they denied.
    pub fn set_profile(&mut self, profile: Profile, origin: Origin) {
        self.profile = Setting::new(profile, origin);
        let given = profile.grants().network;
        self.said.take_if(|said| said.value.mode(profile) > given);
    }

    /// Of the same source as the profile before it, or of a stronger one: it beats the profile.
    pub fn say(&mut self, wish: Wish, origin: Origin) {
        self.said = Some(Setting::new(wish, origin));
    }
}

/// The order of the sources.
const fn rank(origin: &Origin) -> u8 {
    match origin {
        Origin::Default | Origin::Profile => 0,
        Origin::UserFile { .. } => 1,
        Origin::ProjectFile { .. } => 2,
        Origin::Environment(_) => 3,
        Origin::Flag(_) => 4,
    }
}
