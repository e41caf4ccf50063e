//! A manifest or an index of a hostile registry: an error at worst, and what is taken keeps to the limits.
#![no_main]

use agentkernel_image::{
    ImageConfig, Reference,
    manifest::{self, Document, Platform, choose_platform},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match manifest::parse(input) {
        Ok(Document::Manifest(manifest)) => {
            assert!((1..=ImageConfig::MAX_LAYERS).contains(&manifest.layers.len()));
            assert!(manifest.config.size <= ImageConfig::MAX_BYTES as u64);
            assert_eq!(manifest::config_of(input), Some(manifest.config.digest));
        }
        Ok(Document::Index(index)) => {
            assert!(index.manifests.len() <= manifest::MAX_ENTRIES);
            if let Ok(entry) = choose_platform(&index, &Platform::host()) {
                assert!(index.manifests.contains(entry) && !entry.is_attestation);
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096),
    }
    if let Ok(parsed) = ImageConfig::parse(input) {
        let written = parsed.config.to_json(&parsed.diff_ids);
        let again = ImageConfig::parse(&written).expect("what we write we read");
        assert_eq!(again.config.env, parsed.config.env);
        assert_eq!(again.diff_ids, parsed.diff_ids);
    }
    if let Some(reference) = std::str::from_utf8(input).ok().and_then(|text| text.parse::<Reference>().ok()) {
        assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference));
        assert_eq!(reference.familiar().parse().as_ref(), Ok(&reference));
    }
});
