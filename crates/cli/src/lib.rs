//! The command line of agentkernel: see ARCHITECTURE.md.
