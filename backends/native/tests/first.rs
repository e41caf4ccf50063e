//! A command in a native sandbox, without the engine.

use agentkernel_backend::*;
use agentkernel_types::*;

fn spec(id: u64, lifetime: Lifetime) -> SandboxSpec {
    SandboxSpec {
        id: SandboxId::from_random(id), name: None, lifetime, image: ImageRef::Host, profile: Profile::Moderate,
        root: RootAccess::Writable, network: NetworkMode::None, mounts: vec![], env: vec![], workdir: None, user: None,
        resources: Resources { pids: Some(100), ..Resources::default() },
    }
}

#[tokio::test]
async fn a_command_runs() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { runtime_dir: folder.path().join("run"), cache_dir: folder.path().join("cache") };
    let backend = (agentkernel_native::DESCRIPTOR.connect)(&settings).await.unwrap();
    let cx = Context::default();
    for _ in 0..5 {
        let t = std::time::Instant::now();
        let sandbox = backend.create(&cx, &spec(1, Lifetime::Ephemeral), &Workspace::None).await.unwrap();
        sandbox.start(&cx).await.unwrap();
        let c = Command::new(["sh", "-c", "id; pwd; echo err >&2; ls -la /proc/1; exit 3"]).unwrap();
        let (out, err, exit) = sandbox.exec(&cx, ExecSpec::new(c)).await.unwrap().collect(10000).await.unwrap();
        sandbox.destroy(&cx).await.unwrap();
        println!("{:?} {} {} {exit:?}", t.elapsed(), String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        assert_eq!(exit, Exit::code(3));
    }
}
