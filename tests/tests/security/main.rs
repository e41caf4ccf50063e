//! What a sandbox promises to refuse: tried from inside, in every profile, as root and without; and from outside.
//!
//! A test here that fails has found a leak. It is mended in the product, never here, unless the design says that the
//! profile grants it.

mod copies;
mod credentials;
mod inside;
mod marks;
mod outside;
