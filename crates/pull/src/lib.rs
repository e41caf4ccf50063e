//! Fetches images from registries into the store.
//!
//! Every byte is compared with its digest before it is used; an interrupted download goes on where it stopped; one
//! process at a time downloads a layer, others wait and share. This crate must not decide which image is wanted.
