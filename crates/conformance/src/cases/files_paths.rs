//! Folders, links and names.

use agentkernel_backend::FileKind;
use agentkernel_types::ErrorKind;

use super::files::{facet, path, read, write};
use crate::{
    Program, Scene, Verdict,
    scene::{check, equal, refused},
};

list! {
    |has| has.files => folders_are_made_with_their_parents,
    |has| has.files => making_an_existing_folder_succeeds,
    |has| has.files => a_folder_is_listed_in_the_order_of_its_names,
    |has| has.files => a_file_is_removed,
    |has| has.files => a_full_folder_is_removed_only_recursively,
    |has| has.files => a_file_is_renamed,
    |has| has.files => a_folder_is_renamed_with_its_content,
    |has| has.files => a_link_is_made_and_not_followed_by_stat,
    |has| has.files => a_link_is_followed_inside_the_sandbox_only,
    |has| has.files => a_link_in_the_middle_is_followed_inside_the_sandbox_only,
    |has| has.files => removing_a_link_leaves_its_target,
    |has| has.files => removing_a_folder_does_not_follow_its_links,
    |has| has.files => a_link_that_points_to_itself_is_an_error,
    |has| has.files => a_name_that_is_not_utf_8_is_listed,
    |_| true => a_path_with_two_dots_cannot_be_said,
}

async fn folders_are_made_with_their_parents(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/a/b/c"), 0o755).await?;
    for folder in ["/tmp/a", "/tmp/a/b", "/tmp/a/b/c"] {
        equal(
            files.stat(&scene.cx, &path(folder)).await?.kind,
            FileKind::Directory,
            folder,
        )?;
    }
    Ok(())
}

async fn making_an_existing_folder_succeeds(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/a"), 0o755).await?;
    files.mkdir(&scene.cx, &path("/tmp/a"), 0o755).await?;
    write(scene, files, "/tmp/a/file", b"").await?;
    let over_file = files.mkdir(&scene.cx, &path("/tmp/a/file"), 0o755).await;
    check(over_file.is_err(), "a folder was made where a file is")
}

async fn a_folder_is_listed_in_the_order_of_its_names(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/list/sub"), 0o755).await?;
    for name in ["b", "a", "Z", "10", "9", ".hidden", "a b"] {
        write(scene, files, &format!("/tmp/list/{name}"), name.as_bytes()).await?;
    }
    write(scene, files, "/tmp/list/sub/deeper", b"").await?;
    let names: Vec<String> = files
        .list(&scene.cx, &path("/tmp/list"))
        .await?
        .into_iter()
        .map(|stat| String::from_utf8_lossy(&stat.name).into_owned())
        .collect();
    let expected = [".hidden", "10", "9", "Z", "a", "a b", "b", "sub"]
        .map(str::to_owned)
        .to_vec();
    equal(names, expected, "names")
}

async fn a_file_is_removed(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/file", b"x").await?;
    files.remove(&scene.cx, &path("/tmp/file"), false).await?;
    refused(
        files.stat(&scene.cx, &path("/tmp/file")).await,
        ErrorKind::NotFound,
        "stat of the removed",
    )
}

async fn a_full_folder_is_removed_only_recursively(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/full/sub"), 0o755).await?;
    write(scene, files, "/tmp/full/sub/file", b"x").await?;
    check(
        files.remove(&scene.cx, &path("/tmp/full"), false).await.is_err(),
        "a full folder was removed",
    )?;
    equal(
        read(scene, files, "/tmp/full/sub/file").await?,
        b"x".to_vec(),
        "the file after the refusal",
    )?;
    files.remove(&scene.cx, &path("/tmp/full"), true).await?;
    refused(
        files.stat(&scene.cx, &path("/tmp/full")).await,
        ErrorKind::NotFound,
        "stat of the removed",
    )
}

async fn a_file_is_renamed(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/old", b"content").await?;
    write(scene, files, "/tmp/new", b"replaced").await?;
    files
        .rename(&scene.cx, &path("/tmp/old"), &path("/tmp/new"))
        .await?;
    equal(
        read(scene, files, "/tmp/new").await?,
        b"content".to_vec(),
        "content",
    )?;
    refused(
        files.stat(&scene.cx, &path("/tmp/old")).await,
        ErrorKind::NotFound,
        "the old name",
    )
}

async fn a_folder_is_renamed_with_its_content(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/old/sub"), 0o755).await?;
    write(scene, files, "/tmp/old/sub/file", b"deep").await?;
    files
        .rename(&scene.cx, &path("/tmp/old"), &path("/tmp/new"))
        .await?;
    equal(
        read(scene, files, "/tmp/new/sub/file").await?,
        b"deep".to_vec(),
        "content",
    )
}

async fn a_link_is_made_and_not_followed_by_stat(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files
        .symlink(&scene.cx, &path("/tmp/link"), b"/no/such/target")
        .await?;
    let stat = files.stat(&scene.cx, &path("/tmp/link")).await?;
    equal(stat.kind, FileKind::Symlink, "kind")?;
    equal(stat.link_target, Some(b"/no/such/target".to_vec()), "target")
}

async fn a_link_is_followed_inside_the_sandbox_only(scene: &Scene) -> Verdict {
    let outside = scene.host_folder().join("secret");
    std::fs::write(&outside, "of the host")?;
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    let up = format!("../../../../../../../..{}", outside.display());
    for (number, target) in [outside.display().to_string(), up].into_iter().enumerate() {
        let link = format!("/tmp/link{number}");
        files.symlink(&scene.cx, &path(&link), target.as_bytes()).await?;
        check(
            read(scene, files, &link).await.is_err(),
            format!("{target} was read through a link"),
        )?;
    }
    write(scene, files, "/tmp/inside", b"of the sandbox").await?;
    files
        .symlink(&scene.cx, &path("/tmp/good"), b"/tmp/inside")
        .await?;
    equal(
        read(scene, files, "/tmp/good").await?,
        b"of the sandbox".to_vec(),
        "content through the link",
    )
}

async fn a_link_in_the_middle_is_followed_inside_the_sandbox_only(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    std::fs::write(folder.join("secret"), "of the host")?;
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files
        .symlink(
            &scene.cx,
            &path("/tmp/out"),
            folder.display().to_string().as_bytes(),
        )
        .await?;
    check(
        read(scene, files, "/tmp/out/secret").await.is_err(),
        "a file of the host was read",
    )?;
    check(
        write(scene, files, "/tmp/out/made", b"x").await.is_err(),
        "a file was written to where no folder is",
    )?;
    check(!folder.join("made").exists(), "a file was made on the host")
}

async fn removing_a_link_leaves_its_target(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/target", b"stays").await?;
    files.symlink(&scene.cx, &path("/tmp/link"), b"target").await?;
    files.remove(&scene.cx, &path("/tmp/link"), true).await?;
    equal(
        read(scene, files, "/tmp/target").await?,
        b"stays".to_vec(),
        "content of the target",
    )
}

async fn removing_a_folder_does_not_follow_its_links(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    for folder in ["/tmp/stays", "/tmp/goes"] {
        files.mkdir(&scene.cx, &path(folder), 0o755).await?;
    }
    write(scene, files, "/tmp/stays/file", b"stays").await?;
    files
        .symlink(&scene.cx, &path("/tmp/goes/link"), b"/tmp/stays")
        .await?;
    files.remove(&scene.cx, &path("/tmp/goes"), true).await?;
    equal(
        read(scene, files, "/tmp/stays/file").await?,
        b"stays".to_vec(),
        "content behind the link",
    )
}

async fn a_link_that_points_to_itself_is_an_error(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.symlink(&scene.cx, &path("/tmp/loop"), b"loop").await?;
    check(
        read(scene, files, "/tmp/loop").await.is_err(),
        "a link to itself was read",
    )
}

async fn a_name_that_is_not_utf_8_is_listed(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/odd"), 0o777).await?;
    // Only a command can make such a name: paths of the contract are text.
    let mut spec = scene.exec_spec(&Program::Link {
        target: "x".to_owned(),
        path: "/tmp/odd/NAME".to_owned(),
    });
    spec.command = odd_name(spec.command);
    let outcome = scene.outcome_of(&sandbox, spec).await?;
    check(outcome.exit.is_success(), "the odd name could not be made")?;
    let names: Vec<_> = files
        .list(&scene.cx, &path("/tmp/odd"))
        .await?
        .into_iter()
        .map(|stat| stat.name)
        .collect();
    equal(names, vec![b"\xff\xfe\n".to_vec()], "names")
}

fn odd_name(command: agentkernel_types::Command) -> agentkernel_types::Command {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(b"/tmp/odd/\xff\xfe\n".to_vec());
    let argv = command.argv().iter().map(|word| {
        if word == "/tmp/odd/NAME" {
            odd.clone()
        } else {
            word.clone()
        }
    });
    agentkernel_types::Command::new(argv).expect("no word has a NUL")
}

async fn a_path_with_two_dots_cannot_be_said(_: &Scene) -> Verdict {
    for text in [
        "/..",
        "/a/../b",
        "/a/..",
        "../a",
        "/./..",
        "/a//../..",
        "relative",
        "",
        "/a\0b",
    ] {
        check(
            text.parse::<agentkernel_types::GuestPath>().is_err(),
            format!("{text:?} is a path"),
        )?;
    }
    Ok(())
}
