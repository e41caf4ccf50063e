//! What is seen of the layers, and whose it is.

use agentkernel_image::ImageConfig;
use agentkernel_types::RootAccess;

use crate::{
    common::{Tree, is_root},
    stage::{Stage, busybox, words},
};

#[tokio::test]
async fn layers_lie_over_one_another_and_hide_what_they_remove() {
    let lower = |layer: &mut Tree| {
        layer
            .file("data/gone", "1", 0o644)
            .file("data/kept", "2", 0o644)
            .file("data/changed", "3", 0o644)
            .file("opaque/below", "4", 0o644);
    };
    let upper = |layer: &mut Tree| {
        layer
            .whiteout("data/gone")
            .file("data/changed", "5", 0o644)
            .opaque("opaque")
            .file("opaque/above", "6", 0o644);
    };
    let stage = Stage::with(ImageConfig::default(), &[&busybox, &lower, &upper]).await;
    let said = stage
        .says("cd /data; echo *; cat changed; echo; cd /opaque; echo *")
        .await;
    assert_eq!(said, "changed kept\n5\nabove\n");
}

#[tokio::test]
async fn a_sandbox_changes_neither_its_image_nor_the_next_sandbox() {
    let stage = Stage::busybox(|layer| {
        layer.file("data/file", "image", 0o644);
    })
    .await;
    let said = stage
        .says("echo mine > /data/file; rm -rf /home; chmod 700 /; mkdir /made; cat /data/file; ls -d /home /made")
        .await;
    assert!(said.starts_with("mine\n/made\n"), "{said}");
    let said = stage
        .says("cat /data/file; ls -d /home; stat -c %a /; ls -d /made")
        .await;
    assert!(said.starts_with("image/home\n755\n"), "{said}");
    assert!(said.contains("/made: No such file"), "{said}");
}

#[tokio::test]
async fn owners_are_those_of_the_archive_as_root_and_the_user_otherwise() {
    let stage = Stage::busybox(|layer| {
        layer.file("srv/site", "x", 0o640).owner(33, 50);
        layer.file("srv/mine", "x", 0o600).owner(1000, 1000);
    })
    .await;
    let said = stage
        .says("stat -c '%u:%g' /srv/site /srv/mine /bin/busybox /; chown 33:50 /srv/mine; stat -c '%u:%g' /srv/mine")
        .await;
    if is_root() {
        // No capability inside: root there cannot give files away.
        let expected = "33:50\n1000:1000\n0:0\n0:0\n";
        assert!(
            said.starts_with(expected) && said.contains("not permitted"),
            "{said}"
        );
    } else {
        assert!(said.starts_with("0:0\n0:0\n0:0\n0:0\n"), "{said}");
    }
}

#[tokio::test]
async fn another_user_than_root_owns_what_is_his_and_cannot_write_what_is_not() {
    let stage = Stage::busybox(|layer| {
        layer.folder("home/sandbox", 0o755).owner(1000, 1000);
    })
    .await;
    let mut spec = stage.spec();
    spec.user = Some("sandbox".parse().expect("a user"));
    let script = "id -u; id -g; id -G; touch ~/mine && stat -c %u ~/mine; touch /tmp/a && echo tmp; \
                  touch /etc/hosts /made 2>/dev/null && echo wrote";
    let said = stage.run(&spec, script).await.expect("it runs");
    if is_root() {
        assert_eq!(said, "1000\n1000\n1000\n1000\ntmp\n");
    } else {
        // Without root everything is the one user's.
        assert!(said.starts_with("1000\n1000\n"), "{said}");
        assert!(said.ends_with("1000\ntmp\nwrote\n"), "{said}");
    }
}

#[tokio::test]
async fn a_read_only_root_takes_writes_in_memory_only() {
    let stage = Stage::busybox(|_| ()).await;
    for user in ["root", "sandbox"] {
        let mut spec = stage.spec();
        spec.root = RootAccess::ReadOnly;
        spec.user = Some(user.parse().expect("a user"));
        let script = "for f in /tmp /run /dev/shm / /etc /root /home/sandbox /var /bin /proc /sys /dev; do \
                      touch $f/x 2>/dev/null && echo $f; done";
        let said = stage.run(&spec, script).await.expect("it runs");
        assert_eq!(said, "/tmp\n/run\n/dev/shm\n", "{user}");
    }
}

#[tokio::test]
async fn as_many_layers_as_the_store_takes_are_one_root() {
    let layers: Vec<_> = (1..127)
        .map(|number: u32| {
            move |layer: &mut Tree| {
                layer.file(&format!("data/{number:03}"), "", 0o644).file(
                    "data/top",
                    number.to_string(),
                    0o644,
                );
            }
        })
        .collect();
    let mut all: Vec<&dyn Fn(&mut Tree)> = vec![&busybox];
    all.extend(layers.iter().map(|layer| layer as &dyn Fn(&mut Tree)));
    let stage = Stage::with(ImageConfig::default(), &all).await;
    assert_eq!(stage.says("ls /data | wc -l; cat /data/top").await, "127\n126");
}

#[tokio::test]
async fn an_image_without_any_folder_is_given_those_that_every_sandbox_has() {
    let only = |layer: &mut Tree| {
        let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        layer.file("sh", program, 0o755);
    };
    let config = ImageConfig {
        env: words(&[("PATH", "/")]),
        ..ImageConfig::default()
    };
    for root in [RootAccess::Writable, RootAccess::ReadOnly] {
        let stage = Stage::with(config.clone(), &[&only]).await;
        let mut spec = stage.spec();
        spec.root = root;
        let said = stage.run(&spec, "echo /*; echo /etc/*").await.expect("it runs");
        assert_eq!(
            said,
            "/dev /etc /proc /run /sh /sys /tmp\n/etc/hostname /etc/hosts /etc/resolv.conf\n"
        );
    }
}

/// Old builders put an empty layer into an image for each line of the recipe.
#[tokio::test]
async fn a_layer_that_an_image_has_twice_counts_at_its_upper_place() {
    let twice = |layer: &mut Tree| {
        layer.file("data/a", "twice", 0o644).whiteout("data/b");
    };
    let between = |layer: &mut Tree| {
        layer
            .file("data/a", "between", 0o644)
            .file("data/b", "between", 0o644)
            .file("data/c", "between", 0o644);
    };
    let layers: [&dyn Fn(&mut Tree); 4] = [&busybox, &twice, &between, &twice];
    let stage = Stage::with(ImageConfig::default(), &layers).await;
    assert_eq!(stage.says("cd /data; echo *; cat a c").await, "a c\ntwicebetween");
}

/// A store that was filled where other ids did not exist.
#[tokio::test]
async fn an_image_whose_layers_belong_to_one_user_on_disk_belongs_to_the_sandboxs_user() {
    let stage = Stage::busybox(|layer| {
        layer.file("srv/file", "x", 0o600).folder("srv/mine", 0o700);
    })
    .await;
    if is_root() {
        one_owner(&stage);
    }
    let mut spec = stage.spec();
    spec.user = Some("sandbox".parse().expect("a user"));
    let script =
        "id -u; stat -c %u /srv/file /bin/busybox; cat /srv/file; echo new > /srv/file; cat /srv/file";
    let said = stage.run(&spec, script).await.expect("it runs");
    assert_eq!(said, "1000\n1000\n1000\nxnew\n");
}

fn one_owner(stage: &Stage) {
    const OWNER: u32 = 4242;
    let images = stage.folder.path().join("images/images");
    let record = images.join(format!("{}.json", stage.image.id.hex()));
    let text = std::fs::read_to_string(&record).expect("a record");
    let changed = text.replace("\"keeps_owners\":true", "\"keeps_owners\":false");
    assert_ne!(text, changed, "{text}");
    std::fs::write(&record, changed).expect("our own");
    for layer in &stage.image.layers {
        let status = std::process::Command::new("chown")
            .args(["-hR", &format!("{OWNER}:{OWNER}")])
            .arg(&layer.tree)
            .status();
        assert!(status.expect("chown is there").success());
    }
}

#[tokio::test]
async fn a_mount_shows_the_owner_of_the_folder_as_the_sandboxs_user() {
    let project = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(project.path().join("file"), "x").expect("our own");
    std::fs::write(project.path().join("secret"), "y").expect("our own");
    let stage = Stage::busybox(|_| ()).await;
    let mut spec = stage.spec();
    spec.user = Some("www".parse().expect("a user"));
    spec.workdir = Some("/work/project".parse().expect("a path"));
    let mut mount = stage.mount(project.path(), "/work/project");
    mount.masked = vec!["/work/project/secret".parse().expect("a path")];
    spec.mounts = vec![mount];
    let script = "pwd; stat -c %u file; cat file; cat secret; touch new; stat -c %u new";
    let said = stage.run(&spec, script).await.expect("it runs");
    assert_eq!(said, "/work/project\n33\nx33\n");
    let owner = |name: &str| {
        let found = std::fs::metadata(project.path().join(name)).expect("it is there");
        std::os::unix::fs::MetadataExt::uid(&found)
    };
    assert_eq!(owner("new"), owner("file"));
}
