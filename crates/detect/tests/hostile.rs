//! Whatever a project holds: no panic, no unbounded read, and always a valid image.

mod support;

use std::{fs, os::unix::fs::symlink, path::Path};

use agentkernel_detect::{FolderProject, Project as _, Request, Runtime, detect, page};
use agentkernel_types::{Command, ImageRef};
use proptest::prelude::*;
use support::{Fake, of_project};

#[test]
fn a_folder_is_listed_and_read() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("package.json"), r#"{"engines":{"node":"20"}}"#).expect("a file");
    fs::create_dir(folder.path().join("go.mod")).expect("a folder");
    let project = FolderProject::open(folder.path()).expect("a project");
    assert_eq!(project.names(), ["package.json"]);
    let found = detect(&Request {
        project: Some(&project),
        ..Request::default()
    });
    assert_eq!(found.image, "node:20-alpine");
    assert!(FolderProject::open(folder.path().join("none")).is_err());
}

#[test]
fn links_large_files_and_binary_files_are_not_read() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    symlink("/etc/passwd", at(".nvmrc")).expect("a link");
    symlink("/dev/zero", at("go.mod")).expect("a link");
    fs::write(at("package.json"), vec![b' '; (64 << 10) + 1]).expect("a file");
    fs::write(at("pyproject.toml"), [0xff, 0xfe]).expect("a file");
    fs::write(at("Gemfile"), vec![b' '; 64 << 10]).expect("a file");
    let project = FolderProject::open(folder.path()).expect("a project");
    assert_eq!(project.names(), ["Gemfile", "package.json", "pyproject.toml"]);
    for name in [
        ".nvmrc",
        "go.mod",
        "package.json",
        "pyproject.toml",
        "../x",
        "/etc/passwd",
        "",
        ".",
    ] {
        assert_eq!(project.read(name), None, "{name}");
    }
    assert_eq!(project.read("Gemfile").map(|text| text.len()), Some(64 << 10));
}

#[test]
fn a_file_that_became_a_link_or_a_fifo_is_not_read() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    for name in ["a", "b"] {
        fs::write(folder.path().join(name), "x").expect("a file");
    }
    let project = FolderProject::open(folder.path()).expect("a project");
    for name in ["a", "b"] {
        fs::remove_file(folder.path().join(name)).expect("it was there");
    }
    symlink("/etc/passwd", folder.path().join("a")).expect("a link");
    let (cwd, kind, mode) = (
        rustix::fs::CWD,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
    );
    rustix::fs::mknodat(cwd, folder.path().join("b"), kind, mode, 0).expect("a fifo");
    assert_eq!((project.read("a"), project.read("b")), (None, None));
}

#[test]
fn a_folder_of_very_many_files_is_still_recognised() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    for number in 0..10_050 {
        fs::write(folder.path().join(format!("file{number}.txt")), "").expect("a file");
    }
    fs::write(folder.path().join("mix.exs"), "").expect("a file");
    let project = FolderProject::open(folder.path()).expect("a project");
    assert!(project.names().len() <= 10_001, "{} names", project.names().len());
    let found = detect(&Request {
        project: Some(&project),
        ..Request::default()
    });
    assert_eq!(found.runtime, Some(Runtime::Elixir));
}

#[test]
fn deep_nesting_in_manifests_is_harmless() {
    let deep = "[".repeat(60_000);
    let project = Fake::new(&[("package.json", deep.as_str()), ("global.json", deep.as_str())]);
    assert_eq!(of_project(&project).image, "node:22-alpine");
    let (array, dotted) = (
        format!("a = {deep}"),
        format!("{} = 1", vec!["a"; 30_000].join(".")),
    );
    for text in [&array, &dotted] {
        let project = Fake::new(&[("pyproject.toml", text.as_str())]);
        assert_eq!(of_project(&project).image, "python:3.12-alpine");
    }
}

#[test]
fn a_name_cannot_command_the_terminal() {
    let found = of_project(&Fake::of_names(&["\u{1b}[2J\u{202e}.py"]));
    assert_eq!(found.runtime, Some(Runtime::Python));
    assert!(
        !found.reason.contains(|c: char| c.is_control() || c == '\u{202e}'),
        "{:?}",
        found.reason
    );
}

#[test]
fn a_procfile_cannot_command_the_terminal() {
    for word in ["python\u{1b}.1", "python3.\u{1b}", "\u{1b}[2Jnpm", "pytest\u{9b}"] {
        let found = of_project(&Fake::new(&[("Procfile", &format!("web: {word}"))]));
        assert_eq!(found.reason, "nothing names a language", "{word:?}");
    }
}

#[test]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/concepts/detection.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/concepts/detection.md is old: run the tests with UPDATE_DOCS=1"
    );
}

const FILES: [&str; 19] = [
    ".nvmrc",
    ".node-version",
    ".tool-versions",
    "package.json",
    ".bun-version",
    ".python-version",
    "pyproject.toml",
    "rust-toolchain.toml",
    "rust-toolchain",
    "go.mod",
    ".ruby-version",
    "Gemfile",
    ".java-version",
    "global.json",
    ".terraform-version",
    "Procfile",
    "x.py",
    "x.sh",
    "Makefile",
];

fn pin_text() -> impl Strategy<Value = String> {
    let number = "[0-9]{0,4}(\\.[0-9]{0,3}){0,4}";
    prop_oneof![
        "\\PC{0,60}",
        number,
        (number, "[a-z-]{0,6}").prop_map(|(version, rest)| format!("{rest}{version}{rest}")),
        number.prop_map(|version| format!("nodejs {version}\npython {version}\njava {version}\n")),
        number.prop_map(|version| format!(
            "{{\"engines\":{{\"node\":\"{version}\"}},\"sdk\":{{\"version\":\"{version}\"}}}}"
        )),
        number.prop_map(|version| format!("[project]\nrequires-python = \">={version}\"\n")),
        number.prop_map(|version| format!("[toolchain]\nchannel = \"{version}\"\n")),
        number.prop_map(|version| format!("go {version}\nruby \"{version}\"\nweb: python{version} x\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_image_is_always_valid(
        words in proptest::collection::vec("\\PC{1,12}|python\\PC{0,6}|python[0-9.]{0,6}|env|sudo|-[a-z]|[A-Z]=[a-z]|npm|go|mvn|gradle|uv", 0..6),
        files in proptest::collection::vec((0..FILES.len(), pin_text()), 0..5),
        runtime in proptest::option::of(0..Runtime::ALL.len()),
    ) {
        let files: Vec<(&str, &str)> = files.iter().map(|(index, text)| (FILES[*index], text.as_str())).collect();
        let project = Fake::new(&files);
        let command = Command::new(words).ok();
        let runtime = runtime.map(|index| Runtime::ALL[index]);
        let found = detect(&Request { command: command.as_ref(), runtime, project: Some(&project) });
        prop_assert!(matches!(found.image.parse::<ImageRef>(), Ok(ImageRef::Registry(_))), "{}", found.image);
        prop_assert!(!found.image.contains('@') && !found.image.contains("{}"), "{}", found.image);
        prop_assert!(!found.reason.contains(|c: char| c.is_control()), "{:?}", found.reason);
    }
}
