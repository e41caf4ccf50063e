//! Six languages: their programs and small test suites run in the images that detection chooses for them.
