//! Accounts as a sandbox would see them, out of layers that are laid over each other.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use agentkernel_image::{Accounts, Store};
use store_common::{add, place, tar};

fn accounts(store: &Store, layers: &[&[u8]]) -> Accounts {
    add(store, "accounts", layers, &[]).accounts
}

fn passwd(content: &[u8]) -> Vec<u8> {
    tar(&[("etc/", b""), ("etc/passwd", content)])
}

fn link(name: &str, target: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, name, target).unwrap();
    archive.into_inner().unwrap()
}

fn names(accounts: &Accounts) -> Vec<&str> {
    accounts
        .users
        .iter()
        .map(|account| account.name.as_str())
        .collect()
}

const LOWER: &[u8] = b"lower:x:1:1::/:\n";
const UPPER: &[u8] = b"upper:x:2:2::/:\n";

#[test]
fn the_uppermost_file_counts() {
    let (lower, upper) = (passwd(LOWER), passwd(UPPER));
    let other = tar(&[("etc/", b""), ("etc/other", b"")]);
    let group = tar(&[("etc/", b""), ("etc/group", b"staff:x:50:a,b\n")]);
    assert_eq!(names(&accounts(&place().store, &[&lower, &upper])), ["upper"]);
    assert_eq!(names(&accounts(&place().store, &[&upper, &lower])), ["lower"]);
    let merged = accounts(&place().store, &[&lower, &group, &other]);
    assert_eq!(
        (names(&merged), &merged.groups[..]),
        (vec!["lower"], &[("staff".to_owned(), 50)][..])
    );
    assert_eq!(accounts(&place().store, &[&other]), Accounts::default());
}

#[test]
fn whiteouts_and_opaque_folders_hide_what_is_below() {
    let lower = passwd(LOWER);
    for (name, content) in [
        ("etc/.wh.passwd", "x"),
        (".wh.etc", "x"),
        ("etc/.wh..wh..opq", "x"),
    ] {
        let hiding = tar(&[(name, content.as_bytes())]);
        assert_eq!(
            accounts(&place().store, &[&lower, &hiding]),
            Accounts::default(),
            "{name}"
        );
    }
    let anew = tar(&[("etc/", b""), ("etc/.wh..wh..opq", b""), ("etc/passwd", UPPER)]);
    assert_eq!(names(&accounts(&place().store, &[&lower, &anew])), ["upper"]);
}

#[test]
fn links_are_not_followed() {
    let lower = passwd(LOWER);
    for (name, target) in [
        ("etc", "/etc"),
        ("etc", "../../../../../etc"),
        ("etc/passwd", "/etc/passwd"),
        ("etc/passwd", "group"),
    ] {
        let hiding = link(name, target);
        assert_eq!(
            accounts(&place().store, &[&lower, &hiding]),
            Accounts::default(),
            "{name} {target}"
        );
    }
}

#[test]
fn lines_that_make_no_sense_are_skipped() {
    let text = b"root:x:0:0:root:/root:/bin/sh\n\n#x:x:1:1::/:\nshort:x:1\nx:x:-1:0::/:\nx:x:99999999999:0::/:\n\
        x:x:4294967295:0::/:\n:x:1:1::/:\nsp ace:x:1:1::/:\nroot:x:5:5::/:\n\xff\xfe:x:1\nhome:x:3:4::relative:\nclimb:x:3:4::/../etc:\nlast:x:9:9::/h";
    let accounts = accounts(&place().store, &[&passwd(text)]);
    assert_eq!(names(&accounts), ["root", "home", "climb", "last"]);
    let homes: Vec<_> = accounts
        .users
        .iter()
        .map(|account| account.home.as_ref().map(|home| home.as_str()))
        .collect();
    assert_eq!(homes, [Some("/root"), None, None, Some("/h")]);
}

#[test]
fn huge_files_are_read_up_to_a_bound() {
    let many: Vec<u8> = (1..100_000_u32)
        .flat_map(|id| format!("u{id}:x:{id}:{id}::/:\n").into_bytes())
        .collect();
    let image = add(&place().store, "huge", &[&passwd(&many)], &[]);
    assert!(image.accounts.users.len() <= 4096);
    assert!(
        image.owners.uids.len() <= 256,
        "each id needs a line in the map of ids"
    );
}
