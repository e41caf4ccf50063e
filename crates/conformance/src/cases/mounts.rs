//! Folders of the host inside a sandbox.

use std::path::Path;

use agentkernel_types::{GuestPath, Mount};

use crate::{
    Program, Scene, Verdict,
    scene::{check, equal},
};

list! {
    |has| has.mounts => a_mounted_folder_is_seen,
    |has| has.mounts => what_is_written_to_a_mount_is_on_the_host,
    |has| has.mounts => a_read_only_mount_refuses_writes,
    |has| has.mounts => a_single_file_is_mounted,
    |has| has.mounts => a_masked_path_is_hidden,
    |has| has.mounts => a_mount_lies_in_another_mount,
    |has| has.mounts => a_link_in_a_mount_does_not_lead_to_the_host,
    |has| has.mounts => a_destroyed_sandbox_leaves_the_mounted_folder_alone,
    |has| has.mounts => a_missing_mount_source_is_refused,
}

fn at(text: &str) -> GuestPath {
    text.parse().expect("a path of the suite is valid")
}

fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount::new(source, at(target), read_only)
}

async fn cat(scene: &Scene, mounts: Vec<Mount>, file: &str) -> Verdict<String> {
    let mut spec = scene.ephemeral();
    spec.mounts = mounts;
    let sandbox = scene.start(&spec).await?;
    Ok(scene
        .outcome(&sandbox, &Program::CatFile(file.to_owned()))
        .await?
        .text())
}

async fn a_mounted_folder_is_seen(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    std::fs::write(folder.join("file"), "of the host")?;
    let text = cat(scene, vec![mount(&folder, "/mnt/host", false)], "/mnt/host/file").await?;
    equal(text, "of the host".to_owned(), "content")
}

async fn what_is_written_to_a_mount_is_on_the_host(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    let mut spec = scene.ephemeral();
    spec.mounts = vec![mount(&folder, "/mnt/host", false)];
    let sandbox = scene.start(&spec).await?;
    let write = Program::Write {
        path: "/mnt/host/made".to_owned(),
        text: "inside".to_owned(),
    };
    check(
        scene.outcome(&sandbox, &write).await?.exit.is_success(),
        "a writable mount refused a write",
    )?;
    equal(
        std::fs::read_to_string(folder.join("made"))?,
        "inside".to_owned(),
        "content on the host",
    )
}

async fn a_read_only_mount_refuses_writes(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    std::fs::write(folder.join("file"), "as it was")?;
    let mut spec = scene.ephemeral();
    spec.mounts = vec![mount(&folder, "/mnt/host", true)];
    let sandbox = scene.start(&spec).await?;
    for path in ["/mnt/host/file", "/mnt/host/made"] {
        let write = Program::Write {
            path: path.to_owned(),
            text: "changed".to_owned(),
        };
        check(
            !scene.outcome(&sandbox, &write).await?.exit.is_success(),
            format!("{path} was written"),
        )?;
    }
    equal(
        std::fs::read_to_string(folder.join("file"))?,
        "as it was".to_owned(),
        "content on the host",
    )?;
    check(!folder.join("made").exists(), "a file was made on the host")
}

async fn a_single_file_is_mounted(scene: &Scene) -> Verdict {
    let file = scene.host_folder().join("one");
    std::fs::write(&file, "only this")?;
    let text = cat(scene, vec![mount(&file, "/mnt/one", true)], "/mnt/one").await?;
    equal(text, "only this".to_owned(), "content")
}

async fn a_masked_path_is_hidden(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    std::fs::create_dir(folder.join(".ssh"))?;
    std::fs::write(folder.join(".ssh/key"), "secret")?;
    std::fs::write(folder.join(".netrc"), "secret")?;
    std::fs::write(folder.join("open"), "open")?;
    let mut home = mount(&folder, "/mnt/home", true);
    home.masked = vec![
        at("/mnt/home/.ssh"),
        at("/mnt/home/.netrc"),
        at("/mnt/home/.none"),
    ];
    let mut spec = scene.ephemeral();
    spec.mounts = vec![home];
    let sandbox = scene.start(&spec).await?;
    for path in ["/mnt/home/.ssh/key", "/mnt/home/.netrc"] {
        let seen = scene
            .outcome(&sandbox, &Program::CatFile(path.to_owned()))
            .await?;
        equal(seen.text(), String::new(), path)?;
    }
    let open = scene
        .outcome(&sandbox, &Program::CatFile("/mnt/home/open".to_owned()))
        .await?;
    equal(open.text(), "open".to_owned(), "what is not masked")
}

async fn a_mount_lies_in_another_mount(scene: &Scene) -> Verdict {
    let (outer, inner) = (scene.host_folder(), scene.host_folder());
    std::fs::create_dir(outer.join("inner"))?;
    std::fs::write(inner.join("file"), "inner")?;
    let mounts = vec![
        mount(&outer, "/mnt/outer", true),
        mount(&inner, "/mnt/outer/inner", true),
    ];
    equal(
        cat(scene, mounts, "/mnt/outer/inner/file").await?,
        "inner".to_owned(),
        "content",
    )
}

async fn a_link_in_a_mount_does_not_lead_to_the_host(scene: &Scene) -> Verdict {
    let (folder, outside) = (scene.host_folder(), scene.host_folder());
    std::fs::write(outside.join("secret"), "of the host")?;
    std::os::unix::fs::symlink(outside.join("secret"), folder.join("link"))?;
    let text = cat(scene, vec![mount(&folder, "/mnt/host", false)], "/mnt/host/link").await?;
    equal(text, String::new(), "content through the link")
}

async fn a_destroyed_sandbox_leaves_the_mounted_folder_alone(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    std::fs::write(folder.join("file"), "stays")?;
    let mut spec = scene.ephemeral();
    spec.mounts = vec![mount(&folder, "/mnt/host", false)];
    let sandbox = scene.start(&spec).await?;
    sandbox.destroy(&scene.cx).await?;
    equal(
        std::fs::read_to_string(folder.join("file"))?,
        "stays".to_owned(),
        "content on the host",
    )
}

async fn a_missing_mount_source_is_refused(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.mounts = vec![mount(&scene.host_folder().join("none"), "/mnt/none", true)];
    check(
        scene.start(&spec).await.is_err(),
        "a source that does not exist was mounted",
    )
}
