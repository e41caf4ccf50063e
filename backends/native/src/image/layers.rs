//! An image of the store as the root of a sandbox: which layers, which ids, where commands begin.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use agentkernel_image::{Image, unpack::Ownership};
use agentkernel_types::{ErrorKind, GuestPath, ImageRef, SandboxSpec};

use super::User;
use crate::{
    handle::Handle,
    host::Host,
    launch::{
        identity::{IdMap, Identity, MAX_IDS},
        idmap::dedicated_block,
        plan::Source,
    },
    mounts,
    privilege::Privilege,
};

/// The layers as the planner needs them.
pub(crate) struct Layers {
    /// Top first.
    pub lowers: Vec<Layer>,
    /// Of the root folder itself, inside.
    pub owner: (u32, u32),
    pub mode: u32,
}

pub(crate) struct Layer {
    /// Resolved: no part of it is a symbolic link.
    pub tree: PathBuf,
    /// Where the parent has prepared a mount of it.
    pub detached: Option<Source>,
}

/// The image that a specification asks for, if it is not the host's; the lease keeps it in the store.
pub(crate) fn lease(host: &Host, spec: &SandboxSpec) -> Result<Option<agentkernel_image::Lease>> {
    let ImageRef::Registry(name) = &spec.image else {
        return Ok(None);
    };
    if let Err(why) = host.layers() {
        let message = format!("the native backend cannot use the image {name}: {why}");
        return Err(Error::unsupported("create", "image", message).hint("use --image host"));
    }
    let Some(id) = &spec.image_id else {
        let message = format!("the image {name} is not in the image store");
        return Err(Error::new(ErrorKind::NotFound, "create", message)
            .with("field", "image")
            .hint(format!("fetch it first: `agentkernel image pull {name}`")));
    };
    host.store().lease(id).map(Some)
}

/// The user of the sandbox, looked up in the image's own accounts.
pub(crate) fn user(image: &Image, spec: &SandboxSpec) -> Result<User> {
    let user = image.user(spec.user.as_ref())?;
    Ok(User {
        uid: user.uid,
        gid: user.gid,
        name: user.name.unwrap_or_default(),
        home: user.home,
    })
}

/// As root every owner that occurs in the image has an id of its own on the host; without, all are the caller.
pub(crate) fn identity(
    privilege: Privilege,
    spec: &SandboxSpec,
    image: &Image,
    user: &User,
    kept: Option<&Handle>,
) -> Result<Identity> {
    let Privilege::Root = privilege else {
        return Ok(privilege.identity(user, &spec.id));
    };
    let block = dedicated_block(&spec.id);
    let (known_uids, known_gids) = kept.map_or((&[][..], &[][..]), |handle| (&handle.uids, &handle.gids));
    let map = |owners: &BTreeSet<u32>, own: u32, known: &[(u32, u32)], what: &str| {
        let mut ids = owners.clone();
        ids.extend([0, own]);
        IdMap::allocate(&ids, block, known).ok_or_else(|| {
            let message = format!(
                "the files of the image belong to {} {what}, and a sandbox can have {MAX_IDS} at most",
                ids.len()
            );
            Error::unsupported("create", "image", message)
                .hint("as another user than root all files appear as one user's")
        })
    };
    let owners = one_owner(image).unwrap_or(&image.owners);
    Ok(Identity {
        uid: user.uid,
        gid: user.gid,
        builder_uid: 0,
        builder_gid: 0,
        uids: map(&owners.uids, user.uid, known_uids, "users")?,
        gids: map(&owners.gids, user.gid, known_gids, "groups")?,
        drop_groups: true,
    })
}

/// Where commands begin: as asked, as the image says, or the root.
pub(crate) fn workdir(image: &Image, spec: &SandboxSpec) -> Result<GuestPath> {
    if let Some(workdir) = &spec.workdir {
        return Ok(workdir.clone());
    }
    let Some(text) = image.config.workdir.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(GuestPath::root());
    };
    // As Docker takes it: a relative one begins at the root.
    GuestPath::root().join(text).map_err(|error| {
        let message = format!("the image's working directory cannot be used: {error}");
        Error::new(ErrorKind::InvalidSpec, "create", message)
            .with("field", "workdir")
            .hint("choose another with --workdir")
    })
}

/// `NAME=VALUE` of the image, under what the caller sets: what Docker sets where the image does not.
pub(crate) fn environment(image: &Image, user: &User) -> Vec<(String, String)> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut env = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), user.home.to_string()),
    ];
    for (name, value) in &image.config.env {
        match env.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => env.push((name.clone(), value.clone())),
        }
    }
    env
}

/// Opens the layers. As root each is a detached mount that gets the sandbox's owners when its namespace is there;
/// without, the child opens it itself.
pub(crate) fn prepare(image: &Image, privilege: Privilege, identity: &Identity) -> Result<Layers> {
    let failed = |tree: &Path| {
        let message = format!("cannot use the layer {}", tree.display());
        move |error: io::Error| {
            Error::new(ErrorKind::Broken, "start", message)
                .with("field", "image")
                .hint("remove the image and fetch it again")
                .because(error)
        }
    };
    let mut lowers: Vec<Layer> = Vec::with_capacity(image.layers.len());
    for layer in image.layers.iter().rev() {
        // Overlayfs takes no folder twice. The upper one of two says all that the lower one does.
        if lowers.iter().any(|above| above.tree == layer.tree) {
            continue;
        }
        let detached = match privilege {
            Privilege::Rootless { .. } => None,
            Privilege::Root if one_owner(image).is_some() => {
                Some(Source::Detached(mounts::mapped(&layer.tree, true, identity)?))
            }
            Privilege::Root => Some(Source::Layer(
                mounts::detached_layer(&layer.tree).map_err(failed(&layer.tree))?,
            )),
        };
        lowers.push(Layer {
            tree: layer.tree.clone(),
            detached,
        });
    }
    let Some(top) = lowers.first() else {
        return Err(
            Error::new(ErrorKind::InvalidSpec, "start", "the image has no layer").with("field", "image"),
        );
    };
    let found = fs::symlink_metadata(&top.tree).map_err(failed(&top.tree))?;
    let known = |map: &IdMap, id: u32, builder: u32| map.host(id).map_or(builder, |_| id);
    let owner = match (privilege, one_owner(image)) {
        (Privilege::Root, None) => (
            known(&identity.uids, found.uid(), identity.builder_uid),
            known(&identity.gids, found.gid(), identity.builder_gid),
        ),
        _ => (identity.builder_uid, identity.builder_gid),
    };
    Ok(Layers {
        lowers,
        owner,
        mode: found.mode() & 0o1777,
    })
}

/// In a store that was filled without privilege everything belongs to one user on disk: then the sandbox has one id, too.
fn one_owner(image: &Image) -> Option<&'static agentkernel_image::Owners> {
    static NOBODY: agentkernel_image::Owners = agentkernel_image::Owners {
        uids: BTreeSet::new(),
        gids: BTreeSet::new(),
    };
    (image.ownership == Ownership::Caller).then_some(&NOBODY)
}
