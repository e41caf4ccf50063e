//! Everything about images that can be asked, over the store.

use std::{fs::File, path::Path, sync::Arc};

use agentkernel_backend::{Error, Result};
use agentkernel_control::{
    ArchiveFormat, BuildRequest, Built, ImageAccess, ImageDetails, ImageInfo, ImageListing, Images,
    ImagesRemoved, ImportDefaults, ImportRequest, ImportSource, LoadRequest, PruneRequest,
};
use agentkernel_image::{
    Image, ImageConfig, Reference, Removed, Source,
    archive::{self, Format, Import},
    engines,
    unpack::Limits,
};
use agentkernel_pull::{Pull, Puller};
use agentkernel_types::{Digest, ErrorKind, ImageEvent, ImageRef};
use async_trait::async_trait;

use super::{
    describe::{details, info},
    ensure::{Wish, registries},
};
use crate::{Engine, facts};

/// For the digest of a tag.
const PATIENT: std::time::Duration = std::time::Duration::from_secs(15);

#[async_trait]
impl Images for Engine {
    async fn pull(&self, name: &str, access: &ImageAccess) -> Result<ImageInfo> {
        let name: Reference = name.parse()?;
        let reference = Self::pinned(access, &name)?;
        let image = self.fetch(&reference, &name, access, Wish::Explicit).await?;
        self.info_of(&image.id)
    }

    async fn digest(&self, name: &str, access: &ImageAccess) -> Result<Digest> {
        let reference: Reference = name.parse()?;
        let what = Pull {
            reference: &reference,
            platform: None,
            limits: Limits::default(),
            connect_timeout: PATIENT,
        };
        Puller::new(registries(access))?.digest(&what).await
    }

    async fn import(&self, request: ImportRequest) -> Result<Vec<ImageInfo>> {
        let ImportRequest {
            source: from,
            name,
            defaults,
        } = request;
        let name = name.map(|name| name.parse::<Reference>()).transpose()?;
        let path = match &from {
            ImportSource::Stream { label, .. } => label.clone(),
            ImportSource::Folder(path) => path.display().to_string(),
        };
        let shown = path.clone();
        let import = Import {
            name,
            source: Source::Archive { path },
            config: config(defaults),
            limits: Limits::default(),
        };
        let store = self.image_store();
        let images = blocking(move || {
            let writer = store.writer()?;
            match from {
                ImportSource::Stream { mut file, .. } => archive::import(&writer, &mut file, &import),
                ImportSource::Folder(path) => archive::import_layout(&writer, &path, &import),
            }
        });
        let images = images.await.map_err(|error| cannot_import(&shown, error))?;
        self.infos(&images)
    }

    async fn export(&self, name: &str, format: ArchiveFormat, mut to: File) -> Result<()> {
        let id = self.find(name)?;
        let store = self.image_store();
        let names = match store.inspect(&id)? {
            Some(inspected) => inspected.listed.names,
            None => Vec::new(),
        };
        let names = names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Reference>, _>>()?;
        let format = match format {
            ArchiveFormat::Docker => Format::Docker,
            ArchiveFormat::Oci => Format::Oci,
        };
        blocking(move || {
            // Nobody removes it meanwhile.
            let _lease = store.lease(&id)?;
            archive::export(&store, &id, &names, format, &mut to)
        })
        .await
    }

    async fn load(&self, request: LoadRequest) -> Result<Vec<ImageInfo>> {
        let name: Reference = request.name.parse()?;
        let engine = match &request.from {
            Some(engine) => engine.parse()?,
            None => {
                let asked = name.clone();
                blocking(move || Ok(engines::holding(&asked)))
                    .await?
                    .ok_or_else(|| engines::nobody_holds(&name))?
            }
        };
        request.progress.tell(ImageEvent::Asking {
            image: name.to_string(),
            source: engine.name().to_owned(),
        });
        let images = self.load_from(engine, name).await?;
        self.infos(&images)
    }

    async fn build(&self, request: BuildRequest) -> Result<Built> {
        let BuildRequest {
            context,
            dockerfile,
            name,
            target,
            args,
            builder,
            fresh,
            progress,
        } = request;
        let name = name.map(|name| name.parse::<Reference>()).transpose()?;
        let builder = builder
            .map(|builder| builder.parse::<engines::Engine>())
            .transpose()?;
        let store = self.image_store();
        let (id, by) = blocking(move || {
            let inputs = engines::inputs(&context, dockerfile.as_deref(), target.as_deref(), &args)?;
            let writer = store.writer()?;
            if !fresh && let Some(id) = store.by_name(&inputs.name)? {
                if let Some(name) = &name {
                    writer.name(&id, name)?;
                }
                return Ok((id, None));
            }
            let build = engines::Build {
                inputs: &inputs,
                engine: builder,
                name: name.as_ref(),
                fresh,
                heard: Arc::new(move |line| {
                    progress.tell(ImageEvent::Said {
                        text: line.to_owned(),
                    });
                }),
            };
            let (image, engine) = engines::build(&writer, &build)?;
            Ok((image.id, Some(engine)))
        })
        .await?;
        Ok(Built {
            image: self.info_of(&id)?,
            cached: by.is_none(),
            builder: by.map(|engine| engine.name().to_owned()),
        })
    }

    async fn built(&self, request: &BuildRequest) -> Result<Option<Digest>> {
        let BuildRequest {
            context,
            dockerfile,
            target,
            args,
            ..
        } = request.clone();
        let store = self.image_store();
        blocking(move || {
            let inputs = engines::inputs(&context, dockerfile.as_deref(), target.as_deref(), &args)?;
            store.by_name(&inputs.name)
        })
        .await
    }

    fn full_name(&self, name: &str) -> Result<String> {
        Ok(name.parse::<Reference>()?.to_string())
    }

    fn detected(&self, project_dir: &Path) -> Result<Option<String>> {
        let detected = facts::detected(project_dir)?;
        Ok(match detected.image {
            ImageRef::Registry(name) => Some(name),
            ImageRef::Host => None,
        })
    }

    async fn list(&self) -> Result<ImageListing> {
        let kept = self.images_known_to_be_kept();
        let listing = self.image_store().list()?;
        Ok(ImageListing {
            images: listing
                .images
                .into_iter()
                .map(|listed| info(listed, &kept))
                .collect(),
            damaged: listing
                .damaged
                .into_iter()
                .map(|damaged| (damaged.id, damaged.why))
                .collect(),
        })
    }

    async fn inspect(&self, name: &str) -> Result<ImageDetails> {
        let id = self.find(name)?;
        let inspected = self.image_store().inspect(&id)?.ok_or_else(|| unknown(name))?;
        Ok(details(inspected, &self.images_known_to_be_kept()))
    }

    async fn remove(&self, name: &str, force: bool) -> Result<ImagesRemoved> {
        let (store, kept, name) = (self.image_store(), self.kept_images()?, name.to_owned());
        blocking(move || store.remove(&name, &kept, force))
            .await
            .map(removed)
    }

    async fn prune(&self, request: PruneRequest) -> Result<ImagesRemoved> {
        let (store, kept) = (self.image_store(), self.kept_images()?);
        blocking(move || store.prune(&kept, request.all, request.keep_bytes, request.dry_run))
            .await
            .map(removed)
    }
}

impl Engine {
    pub(super) async fn load_from(&self, engine: engines::Engine, name: Reference) -> Result<Vec<Image>> {
        let store = self.image_store();
        blocking(move || {
            let writer = store.writer()?;
            let mut saved = engine.save(&name.to_string())?;
            let import = Import {
                name: Some(name),
                source: Source::Engine {
                    name: engine.name().to_owned(),
                },
                config: ImageConfig::default(),
                limits: Limits::default(),
            };
            let images = archive::import(&writer, &mut saved, &import);
            // If the engine failed, its own reason says more than a broken archive does.
            saved.finish()?;
            images
        })
        .await
    }

    fn find(&self, name: &str) -> Result<Digest> {
        self.image_store().resolve(name)?.ok_or_else(|| unknown(name))
    }

    fn info_of(&self, id: &Digest) -> Result<ImageInfo> {
        let kept = self.images_known_to_be_kept();
        let inspected = self
            .image_store()
            .inspect(id)?
            .ok_or_else(|| unknown(id.short()))?;
        Ok(info(inspected.listed, &kept))
    }

    fn infos(&self, images: &[Image]) -> Result<Vec<ImageInfo>> {
        images.iter().map(|image| self.info_of(&image.id)).collect()
    }
}

/// What is wrong with an archive says nothing of which archive it is.
fn cannot_import(path: &str, error: Error) -> Error {
    let what = if path == "-" { "stdin" } else { path };
    let mut named = Error::new(error.kind(), "import", format!("cannot import {what}"));
    for (key, value) in error.context() {
        named = named.with(key, value.clone());
    }
    if let Some(hint) = error.hint_text() {
        named = named.hint(hint);
    }
    named.because(error)
}

fn unknown(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "image",
        format!("there is no image {name:?} in the store"),
    )
    .hint("list them: agentkernel image list")
}

fn removed(removed: Removed) -> ImagesRemoved {
    let Removed { images, names, bytes } = removed;
    ImagesRemoved { images, names, bytes }
}

fn config(defaults: ImportDefaults) -> ImageConfig {
    let ImportDefaults {
        cmd,
        entrypoint,
        env,
        workdir,
        user,
    } = defaults;
    ImageConfig {
        cmd,
        entrypoint,
        env,
        workdir,
        user,
        ..ImageConfig::default()
    }
}

/// On a thread where waiting for a disk or another process holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}
