//! cp, both ways: files, folders, tar streams.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Stdio,
};

use agentkernel_tests::cli::{Home, PATIENCE, wait_for};

#[test]
fn a_file_is_copied_both_ways_with_its_mode() {
    let home = Home::new();
    home.create("box", &[]);
    let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let source = home.write("tool", &content);
    fs::set_permissions(&source, fs::Permissions::from_mode(0o750)).expect("own file");
    home.call(["cp", "tool", "box:/home/sandbox/tool"]).success();
    home.exec("box", &["stat", "-c", "%a %s", "/home/sandbox/tool"])
        .success()
        .expect_text("750 300000\n");
    home.call(["cp", "box:/home/sandbox/tool", "back"]).success();
    let back = home.project().join("back");
    assert!(fs::read(&back).expect("the copy is there") == content);
    assert_eq!(
        fs::metadata(&back)
            .expect("the copy is there")
            .permissions()
            .mode()
            & 0o777,
        0o750
    );
}

#[test]
fn a_file_lands_in_an_existing_folder_under_its_own_name() {
    let home = Home::new();
    home.create("box", &[]);
    home.write("note", "text");
    home.call(["cp", "note", "box:/tmp"]).success();
    home.exec("box", &["cat", "/tmp/note"])
        .success()
        .expect_text("text");
    fs::create_dir(home.project().join("into")).expect("a folder can be made");
    home.call(["cp", "box:/tmp/note", "into"]).success();
    assert_eq!(
        fs::read_to_string(home.project().join("into/note")).expect("the copy is there"),
        "text"
    );
}

#[test]
fn a_folder_comes_back_as_it_went() {
    let home = Home::new();
    home.create("box", &[]);
    home.write("tree/a", "1");
    home.write("tree/deep/er/b", "22");
    home.write("tree/empty", "");
    home.write("tree/a name with spaces \u{e9}", "333");
    symlink("deep/er/b", home.project().join("tree/link")).expect("a link can be made");
    fs::create_dir(home.project().join("tree/hollow")).expect("a folder can be made");
    home.call(["cp", "tree", "box:/home/sandbox/copy"]).success();
    home.exec("box", &["cat", "/home/sandbox/copy/link"])
        .success()
        .expect_text("22");
    home.call(["cp", "box:/home/sandbox/copy", "returned"]).success();
    let listing = |folder: &str| {
        let script = format!(
            "cd '{}' && find . | sort && cat a link 'a name with spaces \u{e9}'",
            folder
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("sh can be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let path = |name: &str| home.project().join(name).to_string_lossy().into_owned();
    assert_eq!(listing(&path("returned")), listing(&path("tree")));
    let link = fs::read_link(home.project().join("returned/link")).expect("a link stays a link");
    assert_eq!(link.to_str(), Some("deep/er/b"));
}

#[test]
fn a_dash_is_a_tar_stream() {
    let home = Home::new();
    home.create("box", &[]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "inner/file", &b"hello"[..])
        .expect("memory can be written");
    let bytes = archive.into_inner().expect("memory can be written");
    home.call_with_input(["cp", "-", "box:/home/sandbox/in"], &bytes)
        .success();
    home.exec("box", &["cat", "/home/sandbox/in/inner/file"])
        .success()
        .expect_text("hello");

    let out = home.call(["cp", "box:/home/sandbox/in", "-"]).success();
    let mut archive = tar::Archive::new(&out.stdout[..]);
    let names: Vec<String> = archive
        .entries()
        .expect("it is an archive")
        .map(|entry| {
            entry
                .expect("it is whole")
                .path()
                .expect("a path")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(names.iter().any(|name| name == "in/inner/file"), "{names:?}");
}

#[test]
fn a_large_stream_is_copied_without_being_kept_in_memory_as_a_whole() {
    let home = Home::new();
    home.create("box", &[]);
    home.exec(
        "box",
        &["sh", "-c", "head -c 67108864 /dev/zero | tr '\\0' 'x' > ~/big"],
    )
    .success();
    let child = home
        .command(["cp", "box:/home/sandbox/big", "big"])
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    wait_for(child, PATIENCE).success();
    let copy = fs::read(home.project().join("big")).expect("the copy is there");
    assert!(copy.len() == 64 << 20 && copy.iter().all(|byte| *byte == b'x'));
}

#[test]
fn a_stopped_sandbox_can_be_copied_to_and_from() {
    let home = Home::new();
    home.create("box", &[]);
    home.write("note", "text");
    home.call(["stop", "box"]).success();
    home.call(["cp", "note", "box:/home/sandbox/note"]).success();
    home.call(["cp", "box:/home/sandbox/note", "back"]).success();
    assert_eq!(
        fs::read_to_string(home.project().join("back")).expect("the copy is there"),
        "text"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["cp", "box:/no/such/file", "x"])
        .refused("/no/such/file");
    home.call(["cp", "no-such-file", "box:/tmp/x"])
        .refused("no-such-file");
    assert!(!home.project().join("x").exists());
}
