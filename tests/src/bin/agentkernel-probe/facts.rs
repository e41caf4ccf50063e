//! What the host has told by arguments, and what only the first process can see.

use std::collections::HashMap;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    Permissive,
    Moderate,
    Restrictive,
}

/// All arguments are `--NAME VALUE`; several may be given more than once.
pub struct Facts {
    pub profile: Profile,
    values: HashMap<String, Vec<String>>,
    /// Open descriptors above 2, seen before this program opened any.
    pub descriptors: Vec<i32>,
}

const NAMES: [&str; 17] = [
    "profile",
    // The root is an image's and not the host's: it may have several users.
    "image",
    // The host's own name, which must not be seen.
    "host-name",
    // A variable of the caller with this name, plain or like a credential's.
    "environment",
    "secret-environment",
    // Files of the host that no profile shows; in the home folder; in a credential store of the home folder.
    "marker-file",
    "home-marker",
    "credential-marker",
    // The word that all marked files, variables and processes of the host hold.
    "word",
    "host-pid",
    "abstract-socket",
    "unix-socket",
    "tcp",
    "read-only-mount",
    // The host's namespaces, as in `net:[4026531840]`.
    "host-namespace",
    "shared-memory-key",
    "message-queue",
];

impl Facts {
    pub fn gather(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let descriptors = open_descriptors();
        let mut values: HashMap<String, Vec<String>> = HashMap::new();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let name = argument
                .strip_prefix("--")
                .filter(|name| NAMES.contains(name))
                .ok_or_else(|| format!("unknown argument {argument:?}: write one of {NAMES:?} after --"))?;
            let value = arguments
                .next()
                .ok_or_else(|| format!("--{name} needs a value"))?;
            values.entry(name.to_owned()).or_default().push(value);
        }
        let profile = match values.get("profile").and_then(|values| values.last()) {
            Some(word) if word == "permissive" => Profile::Permissive,
            Some(word) if word == "moderate" => Profile::Moderate,
            Some(word) if word == "restrictive" => Profile::Restrictive,
            other => {
                return Err(format!(
                    "--profile is {other:?}: write permissive, moderate or restrictive"
                ));
            }
        };
        Ok(Self {
            profile,
            values,
            descriptors,
        })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether the root is an image's.
    pub fn has_image(&self) -> bool {
        self.values.contains_key("image")
    }

    /// Behind a gateway: no profile shares the host's.
    pub fn has_network(&self) -> bool {
        self.profile != Profile::Restrictive
    }

    pub fn read_only_root(&self) -> bool {
        self.profile == Profile::Restrictive
    }
}

fn open_descriptors() -> Vec<i32> {
    const HIGHEST: i32 = 4096;
    // SAFETY: asks for a flag of a number, open or not.
    let is_open = |number: &i32| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0;
    (3..HIGHEST).filter(is_open).collect()
}
