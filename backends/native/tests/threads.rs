//! A threaded process starts sandboxes: the child of `clone3` must not need a lock that another thread holds.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentkernel_backend::{Backend, Context, Settings, Workspace};
use agentkernel_types::{
    Command, ExecSpec, Exit, ImageRef, Lifetime, NetworkMode, Profile, Resources, RootAccess, SandboxId,
    SandboxSpec,
};

const SANDBOXES: u64 = 200;
const ALLOCATORS: usize = 6;

fn spec(number: u64) -> SandboxSpec {
    SandboxSpec {
        id: SandboxId::from_random(u64::from(std::process::id()) << 20 | number),
        name: None,
        lifetime: Lifetime::Ephemeral,
        image: ImageRef::Host,
        image_id: None,
        profile: Profile::Restrictive,
        root: RootAccess::ReadOnly,
        network: NetworkMode::None.into(),
        ports: Vec::new(),
        name_servers: Vec::new(),
        mounts: Vec::new(),
        env: Vec::new(),
        workdir: None,
        user: None,
        resources: Resources::default(),
    }
}

async fn run_one(backend: &Arc<dyn Backend>, number: u64) -> Exit {
    // A child that waits for a lock never answers: the deadline turns that into a failure.
    let cx = Context::within(Duration::from_secs(60));
    let sandbox = backend
        .create(&cx, &spec(number), &Workspace::None)
        .await
        .expect("a plain spec");
    sandbox.start(&cx).await.expect("it starts");
    let command = Command::new(["/bin/sh", "-c", "exit 9"]).expect("a command");
    let process = cx
        .bound("exec", sandbox.exec(&cx, ExecSpec::new(command)))
        .await
        .expect("it runs");
    let (_, _, exit) = cx.bound("exec", process.collect(100)).await.expect("it ends");
    sandbox.destroy(&cx).await.expect("it goes");
    exit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sandboxes_start_from_a_process_whose_threads_allocate_all_the_time() {
    // One arena, so that every allocation of every thread takes the same lock.
    // SAFETY: only sets a parameter of the allocator.
    assert_eq!(unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) }, 1);
    let done = Arc::new(AtomicBool::new(false));
    let allocators: Vec<_> = (0..ALLOCATORS)
        .map(|_| {
            let done = Arc::clone(&done);
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    drop(black_box(
                        (0..64).map(|size| vec![0u8; 16 + size * 8]).collect::<Vec<_>>(),
                    ));
                }
            })
        })
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings {
        runtime_dir: folder.path().join("run"),
        cache_dir: folder.path().join("cache"),
        images_dir: folder.path().join("images"),
        network_program: Vec::new(),
    };
    let backend = (agentkernel_native::DESCRIPTOR.connect)(&settings)
        .await
        .expect("Linux with user namespaces");
    for batch in 0..SANDBOXES / 4 {
        let runs = (0..4).map(|lane| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move { run_one(&backend, batch * 4 + lane).await })
        });
        for run in runs.collect::<Vec<_>>() {
            assert_eq!(run.await.expect("no panic"), Exit::code(9));
        }
    }
    done.store(true, Ordering::Relaxed);
    for allocator in allocators {
        allocator.join().expect("an allocating thread does not panic");
    }
}
