//! Whose store it is. Root's keeps the owners of the archives; anybody else's has only one. The two never mix.

use std::fs;

use agentkernel_types::ErrorKind;

use super::{
    file::{self, Existing},
    layout::Layout,
    record::{self, Marker, SCHEMA_VERSION},
};
use crate::{Error, Result, failure::io_error, unpack::Ownership};

/// Reads the marker of the store, or writes that of a new one.
pub fn establish(layout: &Layout) -> Result<Ownership> {
    let path = layout.marker();
    let marker = match record::read_at::<Marker>(&path)? {
        Some(marker) => marker,
        None => {
            let marker = Marker {
                schema_version: SCHEMA_VERSION,
                owner: caller(),
                keeps_owners: may_keep_owners(),
            };
            let bytes = record::to_json(&marker);
            let written = file::write(&layout.incoming(), &path, &bytes, Existing::Kept)
                .map_err(io_error("write", &path))?;
            match written {
                true => marker,
                // Another process was faster.
                false => record::read_at(&path)?.unwrap_or(marker),
            }
        }
    };
    check(layout, marker.owner)?;
    Ok(record::ownership(marker.keeps_owners))
}

/// Refuses a store of somebody else's: root would leave files in it that its owner cannot remove.
pub fn check(layout: &Layout, owner: u32) -> Result<()> {
    let caller = caller();
    if owner == caller {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Denied,
        "image",
        format!(
            "the image store {} belongs to user {owner}, and this command runs as user {caller}",
            layout.folder().display()
        ),
    )
    .hint("run as its owner, or set AGENTKERNEL_HOME to a folder of your own"))
}

pub fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Root of a user namespace with a few ids only could not give files to others.
fn may_keep_owners() -> bool {
    const ENOUGH: u64 = 65536;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first = map.lines().next().unwrap_or_default();
    let fields: Vec<u64> = first
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    caller() == 0 && matches!(fields[..], [0, _, count] if count >= ENOUGH)
}
