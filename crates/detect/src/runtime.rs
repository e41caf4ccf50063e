//! The runtimes, as `[sandbox] runtime` names them.

use std::{fmt, str::FromStr};

use agentkernel_types::ParseError;

use crate::images::{self, Image};

macro_rules! runtimes {
    ($($variant:ident $word:literal $title:literal $image:ident),* $(,)?) => {
        /// A language or tool family that has an image.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Runtime {
            $($variant),*
        }

        impl Runtime {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word of the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// For people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// The image of somebody who names only the runtime.
            pub(crate) const fn image(self) -> &'static Image {
                match self { $(Self::$variant => &images::$image),* }
            }
        }
    };
}

runtimes! {
    Base "base" "a small Linux" ALPINE,
    Node "node" "Node.js" NODE,
    Bun "bun" "Bun" BUN,
    Deno "deno" "Deno" DENO,
    Python "python" "Python" PYTHON,
    Rust "rust" "Rust" RUST,
    Go "go" "Go" GO,
    Ruby "ruby" "Ruby" RUBY,
    Java "java" "Java" JAVA,
    Kotlin "kotlin" "Kotlin" KOTLIN,
    Dotnet "dotnet" ".NET" DOTNET,
    C "c" "C and C++" GCC,
    Php "php" "PHP" PHP,
    Elixir "elixir" "Elixir" ELIXIR,
    Terraform "terraform" "Terraform" TERRAFORM,
    Lua "lua" "Lua" LUA,
    Shell "shell" "Shell" BASH,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Runtime {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .iter()
            .copied()
            .find(|runtime| runtime.as_str() == text)
            .ok_or_else(|| {
                let words: Vec<_> = Self::ALL.iter().map(|runtime| runtime.as_str()).collect();
                ParseError::new(format!(
                    "unknown runtime {text:?}: use one of {}",
                    words.join(", ")
                ))
            })
    }
}
