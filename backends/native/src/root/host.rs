//! The steps that make a root of the host image.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{Composer, PLAIN};
use crate::{
    image::{HostImage, SystemFolder, User},
    launch::{
        plan::{Place, Source, Step, c_string, relative},
        sys::attribute,
    },
};

impl Composer {
    pub(super) fn host_image(&mut self, image: &HostImage, own: &[(&'static str, Vec<u8>)], user: &User) {
        self.system_folders(image);
        self.etc(image, own);
        self.private_folders(user);
    }

    fn system_folders(&mut self, image: &HostImage) {
        for folder in &image.folders {
            match folder {
                SystemFolder::Link { name, target } => self.link(&Self::guest(&format!("/{name}")), target),
                SystemFolder::Folder { name, writable } => {
                    let host = PathBuf::from(format!("/{name}"));
                    self.layered(name, &host, writable);
                }
            }
        }
    }

    fn etc(&mut self, image: &HostImage, own: &[(&'static str, Vec<u8>)]) {
        let etc = image.etc.clone();
        // The sandbox's own files lie in the writable layer, so there is always one.
        let read_only = std::mem::replace(&mut self.read_only, false);
        self.layered("etc", &etc, &[]);
        self.read_only = read_only;
        for (name, content) in own {
            self.file(&Self::guest(&format!("/etc/{name}")), content.clone(), true);
        }
    }

    /// A folder of the host, with a private writable layer over it unless the root is read-only.
    fn layered(&mut self, name: &str, host: &Path, writable: &[String]) {
        let target = Self::guest(&format!("/{name}"));
        self.directory(&target, 0o755);
        let source = self.path_source(host);
        if self.read_only {
            return self.attach(source, &target, PLAIN | attribute::READ_ONLY);
        }
        let layer = |parent: &str, name: &str| Step::MakeLayer {
            place: Place::beneath(parent, name),
        };
        let top = format!("layers/{name}");
        let upper = format!("{top}/upper");
        self.steps.push(layer(".", "layers"));
        self.steps.push(layer("layers", name));
        self.steps.push(layer(&top, "upper"));
        self.steps.push(layer(&top, "work"));
        for folder in writable {
            // A folder in the upper layer is the sandbox's own: then its user may change what is in the merged one.
            let (parent, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            self.steps
                .push(layer(format!("{upper}/{parent}").trim_end_matches('/'), name));
        }
        let base = crate::launch::BASE;
        self.steps.push(Step::Overlay {
            target: relative(&target),
            lower: c_string(&format!(
                "/proc/self/fd/{}",
                crate::launch::source_descriptor(source)
            )),
            upper: c_string(&format!("/proc/self/fd/{base}/{upper}")),
            work: c_string(&format!("/proc/self/fd/{base}/{top}/work")),
            attributes: PLAIN,
        });
    }

    fn private_folders(&mut self, user: &User) {
        for path in [
            "/var/tmp",
            "/var/cache",
            "/var/lib",
            "/var/log",
            "/srv",
            "/mnt",
            "/root",
        ] {
            self.directory(&Self::guest(path), 0o755);
        }
        self.directory(&user.home, 0o755);
        self.link(&Self::guest("/var/run"), "/run");
        self.passing_folders("0755");
    }

    pub(super) fn toolchains(&mut self, image: &HostImage, detached: Vec<Option<OwnedFd>>) {
        for (toolchain, detached) in image.toolchains.iter().zip(detached) {
            let target = Self::guest(&toolchain.path.to_string_lossy());
            self.directory(&target, 0o755);
            let source = match detached {
                Some(mount) => self.source(Source::Detached(mount)),
                None => self.path_source(&toolchain.path),
            };
            self.attach(source, &target, PLAIN | attribute::READ_ONLY);
        }
    }
}
