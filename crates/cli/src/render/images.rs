//! Images for people.

use std::fmt::Write as _;

use agentkernel_control::{ImageInfo, ImageListing, ImagesRemoved};
use agentkernel_types::Digest;
use serde_json::json;

use super::{
    human::{age, now, size, table},
    safe,
};
use crate::failure::Failure;

pub fn images(listing: &ImageListing) -> String {
    let rows = listing.images.iter().flat_map(|image| {
        let names = match image.names.as_slice() {
            [] => vec!["-".to_owned()],
            names => names.iter().map(|name| familiar(name)).collect(),
        };
        names.into_iter().map(|name| {
            let ago = |at: u64| age(now().saturating_sub(at / 1000));
            [
                name,
                image.id.short().to_owned(),
                size(image.bytes),
                image.source.clone(),
                ago(image.created_at_ms),
                if image.in_use {
                    "now".to_owned()
                } else {
                    ago(image.used_at_ms)
                },
            ]
        })
    });
    let mut text = table(["NAME", "ID", "SIZE", "FROM", "AGE", "USED"], rows);
    for (id, why) in &listing.damaged {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{} is damaged: {}", id.short(), safe(why));
    }
    text
}

pub fn image_names(listing: &ImageListing) -> String {
    let lines = listing
        .images
        .iter()
        .flat_map(|image| match image.names.as_slice() {
            [] => vec![image.id.to_string()],
            names => names.iter().map(|name| familiar(name)).collect(),
        });
    lines.map(|line| format!("{}\n", safe(&line))).collect()
}

/// What has come into the store.
pub fn images_came(images: &[ImageInfo], json: bool) -> Result<(), Failure> {
    if json {
        return super::json(&json!({ "images": images }));
    }
    let mut text = String::new();
    for image in images {
        let _ = writeln!(text, "{}", image.id);
    }
    super::text(&text)
}

pub fn images_removed(removed: &ImagesRemoved, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for name in &removed.names {
        let _ = writeln!(text, "{verb} the name {}", safe(&familiar(name)));
    }
    for id in &removed.images {
        let _ = writeln!(text, "{verb} the image {}", id.short());
    }
    if removed.bytes > 0 {
        let freed = if dry_run { "would be freed" } else { "freed" };
        let _ = writeln!(text, "{} {freed}", size(removed.bytes));
    }
    if text.is_empty() {
        text.push_str("nothing to remove\n");
    }
    text
}

pub fn locked(images: &[(String, Digest)]) -> String {
    let rows = images
        .iter()
        .map(|(name, digest)| [familiar(name), digest.to_string()]);
    table(["IMAGE", "DIGEST"], rows)
}

/// Without what is understood.
fn familiar(name: &str) -> String {
    let short = name.strip_prefix("docker.io/").unwrap_or(name);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(names: &[&str]) -> ImageInfo {
        ImageInfo {
            id: Digest::from_sha256([0xab; 32]),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            source: "docker.io".to_owned(),
            bytes: 3 << 20,
            own_bytes: 0,
            created_at_ms: 0,
            used_at_ms: 0,
            in_use: true,
        }
    }

    #[test]
    fn each_name_has_a_line_and_so_has_an_image_without_one() {
        let listing = ImageListing {
            images: vec![
                image(&["docker.io/library/alpine:3", "localhost:5000/x:1"]),
                image(&[]),
            ],
            damaged: vec![(Digest::from_sha256([1; 32]), "odd".to_owned())],
        };
        let text = images(&listing);
        let starts: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(
            starts,
            ["NAME", "alpine:3", "localhost:5000/x:1", "-", "010101010101"]
        );
        assert!(text.contains("3.0m") && text.contains("now"), "{text}");
        let id = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(
            image_names(&listing),
            format!("alpine:3\nlocalhost:5000/x:1\n{id}\n")
        );
    }

    #[test]
    fn a_removal_says_what_went() {
        let removed = ImagesRemoved {
            images: vec![Digest::from_sha256([0xab; 32])],
            names: vec!["docker.io/library/a:1".to_owned()],
            bytes: 1 << 20,
        };
        assert_eq!(
            images_removed(&removed, true),
            "would remove the name a:1\nwould remove the image abababababab\n1.0m would be freed\n"
        );
        assert_eq!(
            images_removed(&ImagesRemoved::default(), false),
            "nothing to remove\n"
        );
    }
}
