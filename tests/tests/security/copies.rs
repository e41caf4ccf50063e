//! `agentkernel cp` against hostile names and links, in both directions: it touches nothing but what it was given.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use agentkernel_tests::cli::{Home, marker};

/// A folder of the host with one file, which no copy may read, change or add to.
struct Outside {
    folder: PathBuf,
    word: String,
}

impl Outside {
    fn make(home: &Home) -> Self {
        let (folder, word) = (home.root().join("outside"), marker());
        fs::create_dir(&folder).expect("a folder can be made");
        fs::write(folder.join("file"), &word).expect("a file can be written");
        Self { folder, word }
    }

    #[track_caller]
    fn is_untouched(&self, by: &str) {
        let content = fs::read_to_string(self.folder.join("file")).ok();
        assert_eq!(
            content.as_ref(),
            Some(&self.word),
            "{by:?} has changed the host's file"
        );
        let entries = fs::read_dir(&self.folder).expect("it is there").count();
        assert_eq!(entries, 1, "{by:?} has made something outside");
    }

    /// Nothing below this folder holds the word.
    #[track_caller]
    fn was_not_read_into(&self, path: &Path, by: &str) {
        for file in files_below(path) {
            let content = fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            assert!(!text.contains(&self.word), "{by:?} has read the host's file");
        }
    }
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .flat_map(|entry| files_below(&entry.path()))
            .collect(),
        Ok(found) if found.is_file() => vec![path.to_path_buf()],
        _ => Vec::new(),
    }
}

/// Spellings of a file of the host as a path in the sandbox.
fn hostile_paths(target: &Path) -> Vec<String> {
    let starts = [
        "/",
        "//",
        "/./",
        "/tmp/",
        "/tmp/../",
        "/proc/self/root/",
        "/proc/1/root/",
        "/proc/self/cwd/",
        "/proc/self/fd/3/",
        "/dev/fd/0/",
        "/home/sandbox/out/",
        "/tmp/link/",
        "/tmp/chain/",
        "/tmp/up/",
    ];
    let name = target.to_str().expect("a plain path").trim_start_matches('/');
    let mut paths = Vec::new();
    for start in starts {
        for depth in 0..14 {
            paths.push(format!("{start}{}{name}", "../".repeat(depth)));
        }
        paths.push(format!("{start}{name}/"));
        paths.push(format!("{start}{name}/."));
    }
    let long = "a".repeat(300);
    let deep = "d/".repeat(3000);
    for odd in [
        "\u{1}",
        "\n",
        "\r\n",
        "\t",
        "\u{1b}[2J",
        "\u{7f}",
        "..\n",
        "%2e%2e/",
        "..\\..\\",
        "\u{202e}",
        " ",
        "-",
        "--",
        "*",
        "~",
        "$HOME",
        "`id`",
        ";id",
        &long,
        &deep,
    ] {
        paths.push(format!("/tmp/{odd}/../{name}"));
        paths.push(format!("/tmp/{odd}"));
    }
    paths
}

#[test]
fn no_path_of_a_copy_leads_out() {
    let home = Home::new();
    let outside = Outside::make(&home);
    home.create("box", &["--no-network"]);
    let links = "ln -s / /tmp/link; ln -s / ~/out; ln -s /tmp/link/tmp/link /tmp/chain; ln -s ../../../../../.. /tmp/up";
    home.exec("box", &["sh", "-c", links]).success();
    let harmless = home.write("harmless", "harmless");
    let harmless = harmless.to_str().expect("a plain path");
    let mut paths = hostile_paths(&outside.folder.join("file"));
    paths.extend(hostile_paths(&outside.folder.join("new")));
    let distinct: BTreeSet<&String> = paths.iter().collect();
    assert!(distinct.len() >= 200, "{} paths", distinct.len());
    let host_root = names_in("/");
    for path in distinct {
        let inside = format!("box:{path}");
        let got = home.project().join("got");
        home.call(["cp", &inside, got.to_str().expect("a plain path")]);
        outside.was_not_read_into(&got, path);
        remove(&got);
        home.call(["cp", harmless, &inside]);
        outside.is_untouched(path);
    }
    assert_eq!(names_in("/"), host_root, "something was made in the host's root");
}

fn names_in(folder: &str) -> BTreeSet<std::ffi::OsString> {
    let entries = fs::read_dir(folder).expect("it can be listed");
    entries.flatten().map(|entry| entry.file_name()).collect()
}

fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
}

#[test]
fn a_link_that_comes_out_of_a_sandbox_is_not_followed_by_the_next_copy() {
    let home = Home::new();
    let outside = Outside::make(&home);
    home.create("box", &["--no-network"]);
    let script = format!(
        "mkdir -p /tmp/first /tmp/second/a /tmp/third; ln -s {0} /tmp/first/a; echo x > /tmp/second/a/new; \
         echo x > /tmp/second/a/file; ln -s {0}/file /tmp/first/b; echo x > /tmp/second/b; ln -s {0}/new /tmp/first/c; \
         echo x > /tmp/second/c",
        outside.folder.display()
    );
    home.exec("box", &["sh", "-c", &script]).success();
    let place = home.project().join("place");
    fs::create_dir(&place).expect("a folder can be made");
    let place = place.to_str().expect("a plain path");
    for source in ["first", "second", "first", "second"] {
        home.call(["cp", &format!("box:/tmp/{source}/."), place]);
        outside.is_untouched(source);
    }
    // And back in: what the links lead to must not go along.
    home.call(["cp", place, "box:/tmp/third/"]);
    let read = home.exec("box", &["sh", "-c", "cat /tmp/third/*/* 2>/dev/null; true"]);
    assert!(
        !read.text().contains(&outside.word),
        "the host's file went into the sandbox"
    );
}

/// Two kinds of swapping: a link that now leads inside and now outside, and a folder that now is a link.
#[test]
fn a_link_that_is_swapped_while_files_are_copied_leads_nowhere() {
    const COPIES: usize = 200;
    let home = Home::new();
    let outside = Outside::make(&home);
    home.create("box", &["--no-network"]);
    let swap = format!(
        "mkdir -p /tmp/real /tmp/swap/a; echo inside > /tmp/real/file; cp /tmp/real/file /tmp/swap/a; \
         ln -s {0} /tmp/swap/b; cd /tmp/swap; \
         while :; do ln -sfn {0} /tmp/link; mv -T a x; mv -T b a; mv -T x b; ln -sfn /tmp/real /tmp/link; done",
        outside.folder.display()
    );
    home.call(["exec", "-d", "box", "--", "sh", "-c", &swap])
        .success();
    let source = home.write("source", "from the host");
    let source = source.to_str().expect("a plain path");
    let got = home.project().join("got");
    let (mut came_out, mut went_in) = (0, 0);
    for number in 0..COPIES {
        let path = ["box:/tmp/link/file", "box:/tmp/swap/a/file"][number % 2];
        let out = home.call(["cp", path, got.to_str().expect("a plain path")]);
        came_out += usize::from(out.status.success());
        outside.was_not_read_into(&got, "a copy out");
        remove(&got);
        let back = home.call(["cp", source, path]);
        went_in += usize::from(back.status.success());
        outside.is_untouched("a copy in");
    }
    assert!(came_out > 0, "no copy out met the real folder: nothing was tried");
    assert!(went_in > 0, "no copy in met the real folder: nothing was tried");
}
