//! What of the file system is read, and what is not.

mod support;

use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

use agentkernel_config::{MAX_FILE_BYTES, ProjectFile};
use agentkernel_types::ErrorKind;
use support::Place;

const ENTRY: &str = "[[files]]\nsource = \"it\"\ndest = \"/opt//x/./it\"\n";

#[test]
fn a_file_of_the_project_is_injected_with_its_mode() {
    let place = Place::new().project(format!("{ENTRY}mode = \"0600\"\n"));
    fs::write(place.path("project/it"), "x").expect("a file");
    let files = place.settings().files;
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].source, place.path("project/it"));
    assert_eq!((files[0].dest.as_str(), files[0].mode), ("/opt/x/it", 0o600));
}

#[test]
fn a_mode_that_is_not_given_is_0644_and_links_within_the_project_are_followed() {
    let place = Place::new().project(ENTRY);
    fs::write(place.path("project/real"), "x").expect("a file");
    symlink("real", place.path("project/it")).expect("a link");
    let files = place.settings().files;
    assert_eq!(
        (files[0].source.clone(), files[0].mode),
        (place.path("project/real"), 0o644)
    );
}

#[test]
fn no_link_leads_out_of_the_project() {
    for target in ["/etc/passwd", "../secret", "inner/../../secret", "out/secret"] {
        let place = Place::new().project(ENTRY);
        fs::write(place.path("secret"), "x").expect("a file");
        fs::create_dir(place.path("project/inner")).expect("a folder");
        symlink("..", place.path("project/out")).expect("a link");
        symlink(target, place.path("project/it")).expect("a link");
        assert_eq!(place.error().kind(), ErrorKind::Denied, "{target}");
        assert!(
            place.message().contains("leads out of the project"),
            "{}",
            place.message()
        );
    }
}

#[test]
fn a_sibling_with_the_same_beginning_is_outside() {
    let place = Place::new().project(ENTRY);
    fs::create_dir(place.path("project-two")).expect("a folder");
    fs::write(place.path("project-two/x"), "x").expect("a file");
    symlink(place.path("project-two/x"), place.path("project/it")).expect("a link");
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn folders_and_sockets_are_not_injected() {
    let place = Place::new().project(ENTRY);
    fs::create_dir(place.path("project/it")).expect("a folder");
    assert!(place.message().contains("is not a regular file"));
    fs::remove_dir(place.path("project/it")).expect("it was there");
    let _socket = UnixListener::bind(place.path("project/it")).expect("a socket");
    assert!(place.message().contains("is not a regular file"));
}

#[test]
fn a_destination_is_used_once() {
    let place = Place::new().project(format!("{ENTRY}{ENTRY}"));
    fs::write(place.path("project/it"), "x").expect("a file");
    assert!(
        place
            .message()
            .starts_with("`files.dest`: /opt/x/it is the destination of two entries")
    );
}

#[test]
fn the_file_is_found_from_a_folder_beneath_it() {
    let mut place = Place::new().project("[sandbox]\nname = \"above\"\n");
    fs::create_dir_all(place.path("project/a/b")).expect("folders");
    place.sources.project_file = ProjectFile::Discover(place.path("project/a/b"));
    assert_eq!(place.settings().name.expect("set").value.as_str(), "above");
    assert_eq!(
        place.settings().project_file,
        Some(place.path("project/agentkernel.toml"))
    );
}

#[test]
fn a_named_file_must_exist_and_the_users_need_not() {
    let mut place = Place::new();
    assert!(place.resolve().is_ok());
    place.sources.project_file = ProjectFile::Explicit(place.path("none.toml"));
    assert_eq!(place.error().kind(), ErrorKind::NotFound);
    assert_eq!(
        place.message(),
        "cannot read DIR/none.toml: No such file or directory (os error 2)"
    );
}

#[test]
fn only_regular_files_of_one_mebibyte_of_utf_8_are_read() {
    let place = Place::new().project(b"a = \"\xff\"");
    assert_eq!(
        place.message(),
        "DIR/project/agentkernel.toml is not UTF-8: the first wrong byte is at offset 5"
    );
    let place = Place::new().project(vec![b'#'; MAX_FILE_BYTES as usize]);
    assert!(place.resolve().is_ok());
    let place = Place::new().project(vec![b'#'; MAX_FILE_BYTES as usize + 1]);
    assert_eq!(
        place.message(),
        "DIR/project/agentkernel.toml is larger than 1 MiB"
    );
    let place = Place::new();
    fs::create_dir(place.path("project/agentkernel.toml")).expect("a folder");
    assert_eq!(
        place.message(),
        "DIR/project/agentkernel.toml is not a regular file"
    );
    let place = Place::new();
    symlink("/dev/zero", place.path("project/agentkernel.toml")).expect("a link");
    assert_eq!(
        place.message(),
        "DIR/project/agentkernel.toml is not a regular file"
    );
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let place = Place::new();
    let path = place.path("project/agentkernel.toml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a fifo");
    assert_eq!(
        place.message(),
        "DIR/project/agentkernel.toml is not a regular file"
    );
}

#[test]
fn a_users_file_that_everybody_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new().user("");
    fs::set_permissions(place.path("config.toml"), fs::Permissions::from_mode(0o666)).expect("it is ours");
    assert_eq!(
        place.message(),
        "DIR/config.toml can be written by every user of this machine"
    );
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn a_found_file_of_another_user_is_refused_and_a_named_one_is_read() {
    let mut place = Place::new().project("[sandbox]\nname = \"theirs\"\n");
    let path = place.path("project/agentkernel.toml");
    // Only root can give a file away; for anybody else there is nothing to try here.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        return;
    }
    assert_eq!(place.error().kind(), ErrorKind::Denied);
    assert!(
        place.message().contains("belongs to user 12345, neither to you"),
        "{}",
        place.message()
    );
    place.sources.project_file = ProjectFile::Explicit(path);
    assert_eq!(place.settings().name.expect("set").value.as_str(), "theirs");
}
