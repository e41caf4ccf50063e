//! The list of what is measured.

mod exec;
mod image;
mod memory;
mod parallel;
mod pull;
mod run;
mod size;

use anyhow::Result;

use crate::{programs::Subject, report::Row};

pub struct Benchmark {
    pub name: &'static str,
    pub summary: &'static str,
    pub run: fn(&Subject, usize) -> Result<Vec<Row>>,
}

pub const ALL: &[Benchmark] = &[
    Benchmark {
        name: "version",
        summary: "the bare start of the program",
        run: size::version,
    },
    Benchmark {
        name: "run",
        summary: "true in a fresh sandbox",
        run: run::run_true,
    },
    Benchmark {
        name: "python",
        summary: "a Python one-liner in a fresh sandbox",
        run: run::run_python,
    },
    Benchmark {
        name: "exec",
        summary: "true in a running kept sandbox",
        run: exec::exec_true,
    },
    Benchmark {
        name: "parallel",
        summary: "100 runs at once",
        run: parallel::hundred_runs,
    },
    Benchmark {
        name: "memory",
        summary: "an idle kept sandbox",
        run: memory::idle_sandbox,
    },
    Benchmark {
        name: "pull",
        summary: "a large image from a registry on loopback",
        run: pull::pull,
    },
    Benchmark {
        name: "start",
        summary: "true in an image that is there",
        run: image::second_start,
    },
    Benchmark {
        name: "import",
        summary: "a root file system of 1 GiB",
        run: image::import,
    },
    Benchmark {
        name: "size",
        summary: "the binary",
        run: size::binary,
    },
];
