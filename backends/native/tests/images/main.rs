//! Sandboxes whose root is an image: what is seen inside, and that nothing of the image reaches the host.
//!
//! All of it runs a second time as a user without privilege.

#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod contents;
mod hostile;
mod kept;
mod stage;

#[test]
fn all_of_this_holds_without_root() {
    common::all_without_root("all_of_this_holds_without_root");
}
