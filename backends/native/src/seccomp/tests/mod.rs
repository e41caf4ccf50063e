//! The filter against its table, against the kernel and against ordinary programs.

mod document;
mod interpreter;
mod kernel;
mod programs;
mod table;
