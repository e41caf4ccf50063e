//! Sandboxes whose root is an image: what is seen inside, and that nothing of the image reaches the host.
//!
//! Each test that does not need several ids runs a second time as a user without privilege.

mod common;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agentkernel_backend::{Backend, Context, Error, Sandbox, Workspace};
use agentkernel_image::{Image, ImageConfig};
use agentkernel_types::{
    Command, ErrorKind, ExecSpec, ImageRef, Lifetime, Mount, NetworkMode, Profile, Resources, RootAccess,
    SandboxId, SandboxSpec,
};
use common::{Tree, is_root};

/// One installation of the backend with an image of these layers.
struct Stage {
    folder: tempfile::TempDir,
    backend: Arc<dyn Backend>,
    image: Image,
    cx: Context,
}

impl Stage {
    async fn with(config: ImageConfig, layers: &[&dyn Fn(&mut Tree)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = common::image(folder.path(), &config, layers);
        Self {
            backend: connect(folder.path()).await,
            folder,
            image,
            cx: Context::within(Duration::from_secs(60)),
        }
    }

    /// Busybox, and one layer over it.
    async fn busybox(over: impl Fn(&mut Tree)) -> Self {
        Self::with(ImageConfig::default(), &[&busybox, &over]).await
    }

    fn spec(&self) -> SandboxSpec {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = u64::from(std::process::id()) << 20 | NUMBER.fetch_add(1, Ordering::Relaxed);
        SandboxSpec {
            // Far apart, as random ones are.
            id: SandboxId::from_random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            name: None,
            lifetime: Lifetime::Ephemeral,
            image: ImageRef::Registry("made/by-hand".to_owned()),
            image_id: Some(self.image.id.clone()),
            profile: Profile::Moderate,
            root: RootAccess::Writable,
            network: NetworkMode::None,
            mounts: Vec::new(),
            env: Vec::new(),
            workdir: None,
            user: None,
            resources: Resources::default(),
        }
    }

    /// What a shell prints in a fresh sandbox, both streams.
    async fn run(&self, spec: &SandboxSpec, script: &str) -> Result<String, Error> {
        let sandbox = self.backend.create(&self.cx, spec, &Workspace::None).await?;
        sandbox.start(&self.cx).await?;
        let said = say(&self.cx, &sandbox, script).await;
        sandbox.destroy(&self.cx).await?;
        said
    }

    async fn says(&self, script: &str) -> String {
        self.run(&self.spec(), script).await.expect("it runs")
    }

    fn mount(&self, source: &Path, target: &str) -> Mount {
        Mount {
            source: source.to_owned(),
            target: target.parse().expect("a path"),
            read_only: false,
            masked: Vec::new(),
        }
    }
}

async fn connect(folder: &Path) -> Arc<dyn Backend> {
    (agentkernel_native::DESCRIPTOR.connect)(&common::settings(folder))
        .await
        .expect("Linux with user namespaces")
}

async fn say(cx: &Context, sandbox: &Arc<dyn Sandbox>, script: &str) -> Result<String, Error> {
    let command = Command::new(["sh", "-c", script]).expect("a command");
    let (stdout, stderr, _) = sandbox
        .exec(cx, ExecSpec::new(command))
        .await?
        .collect(1 << 20)
        .await?;
    Ok(String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn busybox(layer: &mut Tree) {
    layer.busybox();
}

fn words(config: &[(&str, &str)]) -> Vec<(String, String)> {
    config
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Refused because of what is in the image; the message has all these words.
#[track_caller]
fn assert_refused(result: Result<String, Error>, words: &[&str]) {
    let error = result.expect_err("it must be refused");
    let shown = format!("{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{shown}");
    for word in words {
        assert!(shown.contains(word), "{shown:?} does not say {word:?}");
    }
}

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
        layer.file("srv/site", "x", 0o640).owner("srv/site", 33, 50);
        layer.file("srv/mine", "x", 0o600).owner("srv/mine", 1000, 1000);
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
        layer
            .folder("home/sandbox", 0o755)
            .owner("home/sandbox", 1000, 1000);
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
async fn the_configuration_of_the_image_is_obeyed() {
    let config = ImageConfig {
        env: words(&[("PATH", "/opt/tool:/bin"), ("GREETING", "hello"), ("EMPTY", "")]),
        workdir: Some("/work/deep".to_owned()),
        user: Some("www".to_owned()),
        ..ImageConfig::default()
    };
    let stage = Stage::with(config, &[&busybox]).await;
    let mut spec = stage.spec();
    spec.env = vec![agentkernel_types::EnvVar::new("MINE", "1").expect("a variable")];
    let said = stage.run(&spec, "pwd; id -u; id -g; env").await.expect("it runs");
    let mut lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["/work/deep", "33", "33"]);
    lines[3..].sort_unstable();
    let set = |name: &str| {
        lines[3..]
            .iter()
            .find(|line| line.split('=').next() == Some(name))
            .copied()
    };
    assert_eq!(set("PATH"), Some("PATH=/opt/tool:/bin"));
    assert_eq!(set("GREETING"), Some("GREETING=hello"));
    assert_eq!(set("EMPTY"), Some("EMPTY="));
    assert_eq!(set("MINE"), Some("MINE=1"));
    assert_eq!(set("HOME"), Some("HOME=/var/www"));
    for name in ["USER", "LOGNAME", "SHELL", "LANG"] {
        assert_eq!(set(name), None, "{name}");
    }
}

#[tokio::test]
async fn without_a_configuration_it_is_root_in_the_root_with_the_usual_path() {
    let stage = Stage::busybox(|_| ()).await;
    let said = stage
        .says("pwd; id -u; echo $HOME $PATH; hostname; cat /etc/hostname")
        .await;
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(said, format!("/\n0\n/root {path}\nsandbox\nsandbox\n"));
}

#[tokio::test]
async fn a_user_by_number_or_with_a_group_is_taken_and_an_unknown_name_refused() {
    let stage = Stage::busybox(|_| ()).await;
    for (user, expected) in [
        ("4711", "4711 0 /\n"),
        ("33:50", "33 50 /var/www\n"),
        ("www:staff", "33 50 /var/www\n"),
    ] {
        let mut spec = stage.spec();
        spec.user = Some(user.parse().expect("a user"));
        let said = stage
            .run(&spec, "echo $(id -u) $(id -g) $HOME")
            .await
            .expect("it runs");
        assert_eq!(said, expected, "{user}");
    }
    let mut spec = stage.spec();
    spec.user = Some("nobody-here".parse().expect("a user"));
    let error = stage.backend.check(&spec).expect_err("nobody has that name");
    assert!(error.to_string().contains("nobody-here"), "{error}");
}

#[tokio::test]
async fn an_image_that_is_not_in_the_store_is_refused_by_name() {
    let stage = Stage::busybox(|_| ()).await;
    let mut spec = stage.spec();
    spec.image_id = None;
    let error = stage.backend.check(&spec).expect_err("no id");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::NotFound, Some("image"))
    );
    assert!(error.to_string().contains("made/by-hand"), "{error}");
    spec.image_id = Some(agentkernel_types::Digest::from_sha256([7; 32]));
    let error = stage.backend.check(&spec).expect_err("an unknown id");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
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
async fn nothing_of_the_host_is_to_be_seen() {
    let stage = Stage::busybox(|_| ()).await;
    let said = stage
        .says("ls -A /; ls /dev; cat /proc/self/mountinfo; cat /etc/resolv.conf; mount -t tmpfs x /tmp; su -c id www; mknod /x c 1 3")
        .await;
    let top: Vec<&str> = said.lines().take_while(|line| *line != "fd").collect();
    assert!(!top.contains(&"opt") && !top.contains(&"work"), "{said}");
    let host = stage.folder.path().to_str().expect("plain").to_owned();
    assert!(!said.contains("/layers/") && !said.contains(&host), "{said}");
    assert!(!said.contains("uid=33"), "{said}");
}

#[tokio::test]
async fn set_user_id_bits_have_no_effect() {
    let stage = Stage::busybox(|layer| {
        let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        layer.file("srv/id", program, 0o4755);
    })
    .await;
    let mut spec = stage.spec();
    spec.user = Some("sandbox".parse().expect("a user"));
    assert_eq!(stage.run(&spec, "/srv/id -u").await.expect("it runs"), "1000\n");
}

#[tokio::test]
async fn a_kept_sandbox_keeps_its_files_over_restart_and_another_process() {
    let stage = Stage::busybox(|layer| {
        layer
            .file("data/file", "image", 0o644)
            .file("data/gone", "image", 0o644)
            .folder("home/sandbox", 0o700)
            .owner("home/sandbox", 1000, 1000);
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

/// For each system folder: as a link to various places, and as a file.
#[tokio::test]
async fn an_image_with_something_else_where_a_system_folder_belongs_is_refused_by_name() {
    for folder in ["proc", "sys", "dev", "etc"] {
        for target in ["/", "/bin", "../../..", "/proc/1/root", "nowhere"] {
            let stage = Stage::with(
                ImageConfig::default(),
                &[&|layer| {
                    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
                    layer.file("bin/sh", program, 0o755).link(folder, target);
                }],
            )
            .await;
            let result = stage.run(&stage.spec(), "true").await;
            assert_refused(result, &[&format!("/{folder} in the image is a symbolic link")]);
        }
        let stage = Stage::with(
            ImageConfig::default(),
            &[&|layer| {
                layer.file(folder, "a file", 0o644);
            }],
        )
        .await;
        let result = stage.run(&stage.spec(), "true").await;
        assert_refused(result, &[&format!("/{folder} in the image is a file")]);
    }
}

#[tokio::test]
async fn a_link_at_tmp_or_run_leads_nowhere_but_into_the_root() {
    for (folder, target) in [
        ("tmp", "/"),
        ("run", "../../.."),
        ("tmp", "/proc/1/root"),
        ("run", "/dev/shm"),
    ] {
        let over = |layer: &mut Tree| {
            layer.whiteout(folder);
        };
        let top = |layer: &mut Tree| {
            layer.link(folder, target);
        };
        let stage = Stage::with(ImageConfig::default(), &[&busybox, &over, &top]).await;
        let said = stage
            .says(&format!("readlink /{folder}; ls -d /{folder}/. "))
            .await;
        assert!(said.starts_with(&format!("{target}\n")), "{said}");
        let mut spec = stage.spec();
        spec.root = RootAccess::ReadOnly;
        let refused = stage.run(&spec, "true").await;
        assert_refused(refused, &[&format!("/{folder} in the image is a symbolic link")]);
    }
}

#[tokio::test]
async fn our_files_in_etc_replace_links_and_are_never_written_through_them() {
    let canary = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(canary.path(), "canary").expect("our own");
    let outside = canary.path().to_str().expect("plain").to_owned();
    let stage = Stage::busybox(|layer| {
        layer
            .link("etc/resolv.conf", "/proc/1/environ")
            .link("etc/hosts", &outside)
            .link("etc/hostname", "passwd");
    })
    .await;
    let said = stage
        .says(
            "stat -c %F /etc/resolv.conf /etc/hosts /etc/hostname; cat /etc/hostname; head -n 1 /etc/passwd",
        )
        .await;
    assert!(
        said.starts_with("regular empty file\nregular file\nregular file\nsandbox\nroot:x:0"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(canary.path()).expect("our own"), "canary");
    let tree = &stage.image.layers[1].tree;
    assert!(
        std::fs::symlink_metadata(tree.join("etc/hosts"))
            .expect("as it was")
            .is_symlink()
    );
}

#[tokio::test]
async fn a_folder_in_place_of_our_files_is_refused() {
    let stage = Stage::busybox(|layer| {
        layer.folder("etc/hosts", 0o755);
    })
    .await;
    let refused = stage.run(&stage.spec(), "true").await;
    assert_refused(refused, &["/etc/hosts in the image is a folder"]);
}

#[tokio::test]
async fn a_mount_goes_through_no_link_of_the_image() {
    let project = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(project.path().join("file"), "x").expect("our own");
    let stage = Stage::busybox(|layer| {
        layer
            .link("work", "/etc")
            .link("srv/link", "../../../..")
            .file("srv/file", "", 0o644);
    })
    .await;
    for (target, part) in [
        ("/work", "/work in the image is a symbolic link"),
        ("/work/project", "/work in the image is a symbolic link"),
        (
            "/srv/link/deep/project",
            "/srv/link in the image is a symbolic link",
        ),
        ("/srv/file", "/srv/file in the image is a file"),
        ("/srv/file/project", "/srv/file in the image is a file"),
    ] {
        let mut spec = stage.spec();
        spec.mounts = vec![stage.mount(project.path(), target)];
        let result = stage.run(&spec, "true").await;
        assert_refused(result, &[part]);
    }
    let mut spec = stage.spec();
    spec.mounts = vec![stage.mount(project.path(), "/srv/made/project")];
    let said = stage
        .run(&spec, "cd /srv/made/project && ls && touch new && stat -c %u new")
        .await;
    assert_eq!(said.expect("it runs"), "file\n0\n");
    assert!(project.path().join("new").exists());
}

#[tokio::test]
async fn a_working_directory_is_made_and_links_on_the_way_stay_inside() {
    let canary = tempfile::tempdir().expect("a temporary folder");
    let outside = canary.path().to_str().expect("plain").to_owned();
    let stage = Stage::busybox(|layer| {
        layer
            .link("var/work", "/srv/real")
            .folder("srv/real", 0o755)
            .link("var/out", &outside);
    })
    .await;
    let mut spec = stage.spec();
    spec.workdir = Some("/var/work/deep/er".parse().expect("a path"));
    let said = stage.run(&spec, "pwd -P; ls /srv/real").await.expect("it runs");
    assert_eq!(said, "/srv/real/deep/er\ndeep\n");
    spec.id = stage.spec().id;
    spec.workdir = Some("/var/out/made".parse().expect("a path"));
    assert!(stage.run(&spec, "true").await.is_err());
    assert_eq!(std::fs::read_dir(canary.path()).expect("our own").count(), 0);
}

#[tokio::test]
async fn more_owners_than_a_sandbox_can_have_are_refused() {
    if !is_root() {
        return;
    }
    let stage = Stage::busybox(|layer| {
        for uid in 0..300 {
            let path = format!("srv/{uid}");
            layer.file(&path, "", 0o644).owner(&path, 2000 + uid * 2, 0);
        }
    })
    .await;
    let error = stage.backend.check(&stage.spec()).expect_err("too many");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("image")),
        "{error}"
    );
    assert!(error.to_string().contains("256"), "{error}");
}

#[test]
fn all_of_this_holds_without_root() {
    common::all_without_root("all_of_this_holds_without_root");
}
