//! Images under sandboxes that stay.

use std::time::Duration;

use agentkernel_backend::Workspace;
use agentkernel_types::Lifetime;

use crate::{
    common::is_root,
    stage::{Stage, connect, say},
};

#[tokio::test]
async fn a_kept_sandbox_keeps_its_files_over_restart_and_another_process() {
    let stage = Stage::busybox(|layer| {
        layer
            .file("data/file", "image", 0o644)
            .file("data/gone", "image", 0o644)
            .folder("home/sandbox", 0o700)
            .owner(1000, 1000);
    })
    .await;
    let workspace = stage.folder.path().join("workspace");
    std::fs::create_dir(&workspace).expect("a fresh folder");
    let workspace = Workspace::Folder(workspace);
    let mut spec = stage.spec();
    spec.lifetime = Lifetime::Kept;
    spec.name = Some("box".parse().expect("a name"));
    let sandbox = stage
        .backend
        .create(&stage.cx, &spec, &workspace)
        .await
        .expect("made");
    sandbox.start(&stage.cx).await.expect("it starts");
    let script = "echo mine > /data/file; rm /data/gone; mkdir /made; chmod 750 /; echo x > /etc/hosts; echo y >> /etc/passwd";
    assert_eq!(say(&stage.cx, &sandbox, script).await.expect("it runs"), "");
    sandbox.stop(&stage.cx, Duration::ZERO).await.expect("it stops");
    let handle = sandbox.handle();
    drop(sandbox);

    let other = connect(stage.folder.path()).await;
    let sandbox = other
        .open(&stage.cx, &spec, &workspace, &handle)
        .await
        .expect("it is there");
    sandbox.start(&stage.cx).await.expect("it starts again");
    let script = "cat /data/file; ls /data; ls -d /made; stat -c %a /; head -n 1 /etc/hosts; tail -n 1 /etc/passwd; \
                  stat -c %u /made /home/sandbox /";
    let said = say(&stage.cx, &sandbox, script).await.expect("it runs");
    let owner = if is_root() { 1000 } else { 0 };
    assert_eq!(
        said,
        format!("mine\nfile\n/made\n750\n127.0.0.1 localhost\ny\n0\n{owner}\n0\n")
    );
    // A third one uses it while it runs.
    let third = connect(stage.folder.path()).await;
    let same = third
        .open(&stage.cx, &spec, &workspace, &sandbox.handle())
        .await
        .expect("it is there");
    assert_eq!(
        say(&stage.cx, &same, "cat /data/file").await.expect("it runs"),
        "mine\n"
    );
    same.destroy(&stage.cx).await.expect("it goes");
    let Workspace::Folder(folder) = workspace else {
        unreachable!("made above")
    };
    let left: Vec<_> = std::fs::read_dir(folder).expect("ours").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What runs inside owns its root: it can put links where the next start makes something.
#[tokio::test]
async fn a_link_that_a_sandbox_has_put_into_its_own_root_is_not_followed_by_the_next_start() {
    let canary = tempfile::tempdir().expect("a temporary folder");
    let outside = canary.path().to_str().expect("plain").to_owned();
    for folder in ["etc", "tmp", "run"] {
        let stage = Stage::busybox(|_| ()).await;
        let workspace = stage.folder.path().join("workspace");
        std::fs::create_dir(&workspace).expect("a fresh folder");
        let workspace = Workspace::Folder(workspace);
        let mut spec = stage.spec();
        spec.lifetime = Lifetime::Kept;
        let sandbox = stage
            .backend
            .create(&stage.cx, &spec, &workspace)
            .await
            .expect("made");
        sandbox.start(&stage.cx).await.expect("it starts");
        let script = format!("rm -rf /{folder}; ln -s {outside} /{folder}");
        assert_eq!(say(&stage.cx, &sandbox, &script).await.expect("it runs"), "");
        sandbox.stop(&stage.cx, Duration::ZERO).await.expect("it stops");
        match sandbox.start(&stage.cx).await {
            // Nothing of ours is made in the two others.
            Ok(()) => assert_ne!(folder, "etc"),
            Err(error) => assert!(
                error
                    .to_string()
                    .contains("/etc/hostname goes through a symbolic link"),
                "{error}"
            ),
        }
        sandbox.destroy(&stage.cx).await.expect("it goes");
    }
    assert_eq!(std::fs::read_dir(canary.path()).expect("our own").count(), 0);
}
