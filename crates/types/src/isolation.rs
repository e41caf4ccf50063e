//! How strong the wall is, honestly stated.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// The isolation grade of a sandbox, weakest first: `--isolation GRADE` demands at least that one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// The word of a hosted provider. Nothing that we can check, so it satisfies no minimum but itself.
    Remote,
    /// The host's kernel, shared: namespaces, seccomp, landlock, no capabilities.
    Container,
    /// An own kernel in user space: User-mode Linux, gVisor.
    UserKernel,
    /// A WebAssembly guest inside an own virtual machine.
    #[serde(rename = "wasm+vm")]
    WasmVm,
    /// An own kernel in an own virtual machine.
    Vm,
}

impl Isolation {
    pub const ALL: [Self; 5] = [
        Self::Remote,
        Self::Container,
        Self::UserKernel,
        Self::WasmVm,
        Self::Vm,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Container => "container",
            Self::UserKernel => "user-kernel",
            Self::WasmVm => "wasm+vm",
            Self::Vm => "vm",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|grade| grade.as_str() == text)
            .ok_or_else(|| {
                ParseError::new(format!(
                    "unknown isolation grade {text:?}: use remote, container, user-kernel, wasm+vm or vm"
                ))
            })
    }
}
