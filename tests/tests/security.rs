//! What a sandbox must not reach, driven from outside: working folders, copies, links that are swapped, neighbours.
//! The attempts from inside are in `escapes.rs`.

use std::{fs, path::PathBuf};

use agentkernel_tests::cli::{Home, marker};

#[test]
fn a_working_folder_of_a_descriptor_leads_nowhere() {
    let home = Home::new();
    let name = "workdirs";
    home.create(name, &["--no-network"]).success();
    for number in 0..64 {
        let path = format!("/proc/self/fd/{number}");
        let outcome = home.call([
            "exec",
            name,
            "-w",
            &path,
            "--",
            "cat",
            "../../../etc/shadow",
            "etc/shadow",
        ]);
        assert_ne!(outcome.status.code(), Some(0), "{path}: {}", outcome.text());
        assert!(outcome.text().is_empty(), "{path}: {}", outcome.text());
    }
}

#[test]
fn what_is_written_inside_is_not_on_the_host() {
    let home = Home::new();
    let word = marker();
    let script = format!(
        "for d in / /usr /usr/bin /etc /home /opt /var /tmp; do echo x > $d/{word}; done; ls /usr/bin/{word}"
    );
    home.run(&[], &["sh", "-c", &script]).success();
    for folder in ["/", "/usr", "/usr/bin", "/etc", "/home", "/opt", "/var", "/tmp"] {
        let path = PathBuf::from(folder).join(&word);
        assert!(!path.exists(), "{} is on the host", path.display());
    }
}

#[test]
fn a_host_program_that_is_removed_inside_is_still_on_the_host() {
    let home = Home::new();
    let before = fs::read("/usr/bin/env").expect("every host has it");
    home.run(&[], &["sh", "-c", "rm /usr/bin/env && echo gone > /usr/bin/env"])
        .success();
    assert!(fs::read("/usr/bin/env").expect("it is still there") == before);
}

#[test]
fn two_sandboxes_share_nothing() {
    let home = Home::new();
    for name in ["one", "two"] {
        home.create(name, &["--no-network"]).success();
    }
    let word = marker();
    let script = format!(
        "echo {word} > /tmp/{word}; echo {word} > ~/{word}; echo {word} > /dev/shm/{word}; sleep 60 & echo $!"
    );
    home.exec("one", &["sh", "-c", &script]).success();
    let look = format!(
        "ls /tmp /dev/shm ~ /proc/*/cmdline; cat /proc/*/cmdline | tr '\\0' ' '; echo; ls /tmp/{word} ~/{word} /dev/shm/{word}"
    );
    let outcome = home.exec("two", &["sh", "-c", &look]);
    assert_ne!(outcome.status.code(), Some(0), "one of the files is there");
    assert!(!outcome.text().contains("sleep 60"), "{}", outcome.text());
    let namespaces = |name: &str| {
        home.exec(name, &["sh", "-c", "readlink /proc/self/ns/*"])
            .success()
            .text()
    };
    let (one, two) = (namespaces("one"), namespaces("two"));
    let shared: Vec<&str> = one
        .lines()
        .filter(|line| two.contains(line) && !line.starts_with("time:"))
        .collect();
    assert!(shared.is_empty(), "{shared:?}");
}

/// Spellings that must not lead out of a sandbox when a file is copied from it, 16 times 13 in all.
fn hostile_paths(target: &str) -> Vec<String> {
    let starts = [
        "",
        "/",
        "//",
        "/./",
        "/tmp/",
        "/tmp/../",
        "/proc/self/root",
        "/proc/1/root",
        "/proc/self/cwd",
        "/dev/fd/0/",
        "/home/sandbox/out/",
        "/tmp/link",
        "/tmp/link/",
    ];
    let ups: Vec<String> = (0..16).map(|depth| "../".repeat(depth)).collect();
    let name = target.trim_start_matches('/');
    starts
        .iter()
        .flat_map(|start| ups.iter().map(move |up| format!("{start}{up}{name}")))
        .collect()
}

#[test]
fn no_path_of_a_copy_leads_out() {
    let home = Home::new();
    let word = marker();
    let secret = home.root().join("host-only");
    fs::write(&secret, &word).expect("a file can be written");
    home.create("box", &["--no-network"]).success();
    home.exec("box", &["sh", "-c", "ln -s / /tmp/link; ln -s / ~/out"])
        .success();
    let paths = hostile_paths(secret.to_str().expect("a plain path"));
    assert!(paths.len() >= 200);
    for (number, path) in paths.iter().enumerate() {
        let to = home.project().join(format!("got-{number}"));
        let from = format!("box:/{}", path.trim_start_matches('/'));
        home.call(["cp", &from, to.to_str().expect("a plain path")]);
        // What an earlier round has put inside under that name may come out, the host's file never.
        assert!(
            fs::read_to_string(&to).unwrap_or_default() != word,
            "{path} was copied out"
        );
        // And in: nothing may appear beside the secret, nor may it change.
        let source = home.write("harmless", "harmless");
        home.call(["cp", source.to_str().expect("a plain path"), &from]);
        assert_eq!(
            fs::read_to_string(&secret).expect("it is there"),
            word,
            "{path} was written through"
        );
    }
}

/// A thousand swaps each way between a folder and a link that leads out, while files are copied.
#[test]
fn a_link_that_is_swapped_in_the_middle_of_a_copy_leads_nowhere() {
    const COPIES: usize = 40;
    let home = Home::new();
    let word = marker();
    let outside = home.root().join("outside");
    fs::create_dir(&outside).expect("a folder can be made");
    fs::write(outside.join("file"), &word).expect("a file can be written");
    home.create("box", &["--no-network"]).success();
    let swap = format!(
        "mkdir -p /tmp/d/real; echo inside > /tmp/d/real/file; cd /tmp/d; ln -s real a; ln -s {} b; i=0; \
         while [ $i -lt 100000 ]; do mv -T a x; mv -T b a; mv -T x b; i=$((i+1)); done",
        outside.display()
    );
    home.call(["exec", "-d", "box", "--", "sh", "-c", &swap])
        .success();
    let source = home.write("file", "from the host");
    for number in 0..COPIES {
        let to = home.project().join(format!("out-{number}"));
        home.call(["cp", "box:/tmp/d/a/file", to.to_str().expect("a plain path")]);
        let got = fs::read_to_string(&to).unwrap_or_default();
        assert!(!got.contains(&word), "the host's file came out");
        home.call(["cp", source.to_str().expect("a plain path"), "box:/tmp/d/a/file"]);
        assert_eq!(
            fs::read_to_string(outside.join("file")).expect("it is there"),
            word,
            "the host's file was written"
        );
    }
    assert_eq!(
        fs::read_dir(&outside).expect("it is there").count(),
        1,
        "something was made outside"
    );
}
