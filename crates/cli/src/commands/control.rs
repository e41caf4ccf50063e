//! Who answers: the one place where the engine is chosen and built.

use std::sync::Arc;

use agentkernel_control::Control;

use crate::failure::Failure;

pub fn control() -> Result<Arc<dyn Control>, Failure> {
    Ok(Arc::new(unavailable::Unavailable))
}

mod unavailable {
    use std::time::Duration;

    use agentkernel_control::*;
    use agentkernel_types::{ErrorKind, ExecId, ExecSpec, GuestPath, SandboxName};

    pub struct Unavailable;

    fn no<T>() -> Result<T> {
        Err(Error::new(
            ErrorKind::Unavailable,
            "control",
            "this build has no engine",
        ))
    }

    #[async_trait::async_trait]
    impl Control for Unavailable {
        async fn run(&self, _: RunRequest) -> Result<Run> {
            no()
        }
        async fn explain(&self, _: &RunRequest) -> Result<Explanation> {
            no()
        }
        async fn create(&self, _: SandboxRequest) -> Result<SandboxInfo> {
            no()
        }
        async fn start(&self, _: &SandboxName) -> Result<SandboxInfo> {
            no()
        }
        async fn stop(&self, _: &SandboxName, _: Duration) -> Result<SandboxInfo> {
            no()
        }
        async fn remove(&self, _: &SandboxName, _: bool) -> Result<()> {
            no()
        }
        async fn list(&self) -> Result<Vec<SandboxInfo>> {
            no()
        }
        async fn inspect(&self, _: &SandboxName) -> Result<SandboxInfo> {
            no()
        }
        async fn exec(&self, _: &SandboxName, _: ExecSpec) -> Result<Process> {
            no()
        }
        async fn exec_detached(&self, _: &SandboxName, _: ExecSpec) -> Result<ExecId> {
            no()
        }
        async fn detached(&self, _: &SandboxName) -> Result<Vec<DetachedStatus>> {
            no()
        }
        async fn kill_detached(&self, _: &SandboxName, _: &ExecId) -> Result<()> {
            no()
        }
        async fn logs(
            &self,
            _: &SandboxName,
            _: Option<&ExecId>,
            _: LogStream,
            _: bool,
        ) -> Result<ByteStream> {
            no()
        }
        async fn stats(&self, _: &SandboxName) -> Result<Stats> {
            no()
        }
        async fn copy_out(&self, _: &SandboxName, _: &GuestPath) -> Result<ByteStream> {
            no()
        }
        async fn copy_in(&self, _: &SandboxName, _: &GuestPath, _: ByteStream) -> Result<()> {
            no()
        }
        async fn stat(&self, _: &SandboxName, _: &GuestPath) -> Result<FileStat> {
            no()
        }
        async fn gc(&self, _: bool) -> Result<GcReport> {
            no()
        }
        async fn doctor(&self) -> Result<Doctor> {
            no()
        }
    }
}
