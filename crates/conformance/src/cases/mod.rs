//! The promises, one function each, grouped by what they are about.

/// Lists the cases of a file: what they need, and their functions.
macro_rules! list {
    ($($needs:expr => $name:ident),+ $(,)?) => {
        pub(super) fn all() -> Vec<$crate::Case> {
            vec![$($crate::Case {
                name: stringify!($name),
                needs: $needs,
                run: |scene| Box::pin($name(scene)),
            }),+]
        }
    };
}

mod context;
mod detached;
mod end;
mod exit;
mod files;
mod files_paths;
mod lifecycle;
mod mounts;
mod network;
mod refusals;
mod streams;
mod terminal;
mod walls;

use agentkernel_backend::Capabilities;

use crate::Case;

/// Every case, in the order in which a person would want them to be checked.
pub fn cases() -> Vec<Case> {
    [
        lifecycle::all(),
        exit::all(),
        streams::all(),
        context::all(),
        end::all(),
        terminal::all(),
        detached::all(),
        files::all(),
        files_paths::all(),
        mounts::all(),
        walls::all(),
        network::all(),
        refusals::all(),
    ]
    .concat()
}

fn always(_: &Capabilities) -> bool {
    true
}
