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
    use super::*;

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
}
