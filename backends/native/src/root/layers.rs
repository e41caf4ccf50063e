//! The steps that make a root of the layers of an OCI image.
//!
//! Whatever is in the image was put there by somebody else: a link or a file where a folder of ours belongs is refused,
//! never followed or replaced.

use agentkernel_types::GuestPath;

use super::{Composer, PLAIN};
use crate::{
    image::Layers,
    launch::plan::{Lower, Overlay, Place, Step},
};

impl Composer {
    /// The overlay that is the root.
    pub(super) fn layers(&mut self, layers: Layers) -> Overlay {
        let mut lowers = Vec::new();
        let mut option = Vec::new();
        let mut trees = Vec::new();
        for (layer, name) in layers.lowers.into_iter().zip(names()) {
            let source = match layer.detached {
                Some(source) => self.source(source),
                None => self.path_source(&layer.tree),
            };
            if !option.is_empty() {
                option.push(b':');
            }
            option.push(name);
            let name = std::ffi::CString::new([name]).expect("not NUL");
            lowers.push(Lower { source, name });
            trees.push(layer.tree);
        }
        Overlay {
            lowers,
            option: std::ffi::CString::new(option).expect("no name is NUL"),
            owner: layers.owner,
            mode: layers.mode,
            trees,
        }
    }

    /// What every sandbox has, as far as the image has not. `/etc/passwd` and its like are the image's.
    pub(super) fn image_folders(&mut self, own: &[(&'static str, Vec<u8>)]) {
        for (name, content) in own {
            self.file(&Self::guest(&format!("/etc/{name}")), content.clone(), true);
        }
        // As with Docker anyone may write to a /run that is memory: the user is not its owner.
        self.passing_folders("1777");
    }

    /// `/tmp` and `/run`: in the root's own layer, or in memory where the root is read-only.
    pub(super) fn passing_folders(&mut self, mode_of_run: &str) {
        for path in ["/tmp", "/run"] {
            let is_tmp = path == "/tmp";
            let path = Self::guest(path);
            if self.read_only {
                self.tmpfs(&path, "50%", if is_tmp { "1777" } else { mode_of_run }, PLAIN);
                self.writable.push(path);
            } else {
                self.directory(&path, if is_tmp { 0o1777 } else { 0o755 });
            }
        }
    }

    /// Made before anything is mounted: links of the image lead to other places of the image only.
    pub(super) fn resolved_directory(&mut self, path: &GuestPath) {
        if let Some(place) = Place::of(path) {
            if let Some(parent) = path.parent() {
                self.resolved_directory(&parent);
            }
            self.steps.push(Step::MakeResolved { place, mode: 0o755 });
        }
    }
}

/// File names of one byte that mean nothing to overlayfs, the plain ones first.
fn names() -> impl Iterator<Item = u8> {
    let plain = (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z');
    plain.chain(128..=255)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use agentkernel_types::{
        ImageRef, Lifetime, NetworkMode, Profile, Resources, RootAccess, SandboxId, SandboxSpec,
    };

    use super::*;
    use crate::{
        image::{User, layers::Layer},
        launch::plan::Source,
        root::{Facts, Image, KernelFiles, Root, compose},
    };

    #[test]
    fn the_names_of_all_layers_fit_into_what_the_kernel_takes_as_one_option() {
        const LAYERS: usize = 127;
        const MAX_OPTION: usize = 255;
        let mut names: Vec<u8> = names().take(LAYERS).collect();
        assert_eq!(names.len(), LAYERS);
        assert!(names.len() * 2 - 1 <= MAX_OPTION);
        assert!(names.iter().all(|name| !b":/\\,.\0".contains(name)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LAYERS);
    }

    fn spec(root: RootAccess) -> SandboxSpec {
        SandboxSpec {
            id: SandboxId::from_random(1),
            name: None,
            lifetime: Lifetime::Ephemeral,
            image: ImageRef::Registry("example/image:1".to_owned()),
            image_id: None,
            profile: Profile::Moderate,
            root,
            network: NetworkMode::None.into(),
            ports: Vec::new(),
            name_servers: Vec::new(),
            mounts: Vec::new(),
            env: Vec::new(),
            workdir: None,
            user: None,
            resources: Resources::default(),
        }
    }

    /// The root of three layers, with a working directory.
    fn composed(root: RootAccess) -> Root {
        let layer = |name: &str| Layer {
            tree: PathBuf::from(name),
            detached: None,
        };
        let user = User {
            uid: 1000,
            gid: 1000,
            name: String::new(),
            home: GuestPath::root(),
        };
        let files = KernelFiles::default();
        let facts = Facts {
            image: Image::Layers(Layers {
                lowers: vec![layer("/top"), layer("/middle"), layer("/bottom")],
                owner: (0, 0),
                mode: 0o755,
            }),
            user: &user,
            hostname: "sandbox",
            workdir: Some(&"/work/deep".parse().unwrap()),
            mounts: Vec::new(),
            folder: None,
            memory_size: 1 << 20,
            landlock_version: 7,
            kernel_files: &files,
        };
        compose(&spec(root), facts)
    }

    fn targets(root: &Root) -> Vec<String> {
        let steps = root.steps.iter();
        steps
            .map(|step| step.target().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_top_layer_is_the_first_lower() {
        let root = composed(RootAccess::Writable);
        let overlay = root.overlay.unwrap();
        assert_eq!(overlay.option, c"0:1:2".to_owned());
        assert_eq!(overlay.trees[0], PathBuf::from("/top"));
        let Source::Path(path) = &root.sources[overlay.lowers[0].source.0] else {
            panic!("a layer without a prepared mount is opened by its path");
        };
        assert_eq!(path.to_bytes(), b"/top");
    }

    #[test]
    fn the_working_directory_is_made_before_anything_is_mounted() {
        let root = composed(RootAccess::Writable);
        let mounts =
            |step: &Step| matches!(step, Step::Tmpfs { .. } | Step::Proc { .. } | Step::Attach { .. });
        let first_mount = root.steps.iter().position(mounts).unwrap();
        let resolves = |step: &Step| matches!(step, Step::MakeResolved { .. });
        let last = root.steps.iter().rposition(resolves).unwrap();
        assert!(last < first_mount, "{:?}", targets(&root));
    }

    #[test]
    fn nothing_of_the_host_image_is_in_it() {
        let root = composed(RootAccess::Writable);
        let files = root.steps.iter().filter_map(|step| match step {
            Step::MakeFile { place, .. } if place.parent.as_c_str() == c"etc" => {
                Some(place.name.to_str().unwrap())
            }
            _ => None,
        });
        assert_eq!(files.collect::<Vec<_>>(), ["hostname", "hosts", "resolv.conf"]);
        for target in targets(&root) {
            assert!(
                !["usr", "bin", "root", "home", "var"]
                    .iter()
                    .any(|folder| target.starts_with(folder)),
                "{target}"
            );
        }
        for source in &root.sources {
            let Source::Path(path) = source else { continue };
            let path = path.to_str().unwrap();
            let layer = ["/top", "/middle", "/bottom"].contains(&path);
            assert!(
                layer || path.starts_with("/dev/") || path.starts_with("/sys/"),
                "{path}"
            );
        }
    }

    #[test]
    fn a_read_only_root_is_closed_last_and_has_memory_at_tmp_and_run() {
        let root = composed(RootAccess::ReadOnly);
        assert!(
            matches!(root.steps.last(), Some(Step::SetAttributes { target, .. }) if target.as_c_str() == c".")
        );
        let in_memory = |path: &std::ffi::CStr| {
            let same = |step: &Step| matches!(step, Step::Tmpfs { target, .. } if target.as_c_str() == path);
            root.steps.iter().any(same)
        };
        assert!(in_memory(c"tmp") && in_memory(c"run"));
    }
}
