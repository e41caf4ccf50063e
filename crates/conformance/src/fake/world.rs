//! What exists: shared by all handles, as the host is shared by all processes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use agentkernel_backend::{SandboxState, Workspace};
use agentkernel_types::{ExecId, Exit, ExitCause, Lifetime, SandboxId, SandboxSpec};
use tokio::sync::{Notify, watch};

use super::{Fault, network::Ways, tree::Tree};

/// The host of a fake backend. It outlives every handle: a reboot, a lost sandbox and a crash can be played.
#[derive(Default)]
pub struct World {
    cells: Mutex<HashMap<SandboxId, Arc<Cell>>>,
}

/// One sandbox.
pub(super) struct Cell {
    pub(super) spec: SandboxSpec,
    pub(super) workspace: Workspace,
    pub(super) faults: Vec<Fault>,
    /// Handles that an ephemeral sandbox lives by.
    pub(super) owners: AtomicUsize,
    inside: Mutex<Inside>,
    /// Counts up when a detached command says something or ends.
    pub(super) news: watch::Sender<u64>,
}

pub(super) struct Inside {
    pub(super) state: SandboxState,
    pub(super) tree: Tree,
    pub(super) processes: BTreeMap<u32, Entry>,
    pub(super) next_process: u32,
    pub(super) detached: BTreeMap<ExecId, Detached>,
    pub(super) starts: u64,
    pub(super) ways: Ways,
}

/// A line of the process table.
pub(super) struct Entry {
    pub(super) parent: Option<u32>,
    pub(super) end: watch::Sender<Option<Exit>>,
    /// A signal that the program handles itself.
    pub(super) handles: Option<u8>,
    pub(super) caught: Arc<Notify>,
}

#[derive(Clone, Default)]
pub(super) struct Detached {
    pub(super) command: Vec<String>,
    pub(super) process: u32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit: Option<Exit>,
}

impl Cell {
    pub(super) fn new(
        spec: &SandboxSpec,
        workspace: &Workspace,
        faults: &[Fault],
        state: SandboxState,
    ) -> Arc<Self> {
        let inside = Inside {
            state,
            tree: Tree::new(spec, faults),
            processes: BTreeMap::new(),
            next_process: 2,
            detached: BTreeMap::new(),
            starts: 0,
            ways: Ways::default(),
        };
        Arc::new(Self {
            spec: spec.clone(),
            workspace: workspace.clone(),
            faults: faults.to_vec(),
            owners: AtomicUsize::new(0),
            inside: Mutex::new(inside),
            news: watch::Sender::new(0),
        })
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no holder panics")
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Ends every command and changes the state.
    pub(super) fn halt(&self, state: SandboxState) {
        let exit = Exit::signal(15);
        let exit = if self.has(Fault::StopWithoutCause) {
            exit
        } else {
            exit.with_cause(ExitCause::SandboxStopped)
        };
        let mut inside = self.inside();
        inside.state = state;
        inside.ways.ports.clear();
        for (_, entry) in std::mem::take(&mut inside.processes) {
            entry.end.send_replace(Some(exit));
        }
        for detached in inside
            .detached
            .values_mut()
            .filter(|detached| detached.exit.is_none())
        {
            detached.exit = Some(exit);
        }
        drop(inside);
        self.news.send_modify(|count| *count += 1);
    }
}

impl World {
    fn cells(&self) -> MutexGuard<'_, HashMap<SandboxId, Arc<Cell>>> {
        self.cells.lock().expect("no holder panics")
    }

    pub(super) fn add(&self, cell: Arc<Cell>) {
        self.cells().insert(cell.spec.id.clone(), cell);
    }

    pub(super) fn get(&self, id: &SandboxId) -> Option<Arc<Cell>> {
        self.cells().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &SandboxId) {
        let removed = self.cells().remove(id);
        if let Some(cell) = removed {
            cell.halt(SandboxState::Gone);
        }
    }

    pub(super) fn ownerless(&self, known: &[SandboxId]) -> Vec<SandboxId> {
        let cells = self.cells();
        let free = |cell: &&Arc<Cell>| {
            cell.owners.load(Ordering::SeqCst) == 0 || cell.spec.lifetime == Lifetime::Kept
        };
        let mut found: Vec<_> = cells
            .values()
            .filter(free)
            .map(|cell| cell.spec.id.clone())
            .filter(|id| !known.contains(id))
            .collect();
        found.sort();
        found
    }

    /// The sandboxes that exist, in whatever state.
    pub fn sandboxes(&self) -> Vec<SandboxId> {
        let mut ids: Vec<_> = self.cells().keys().cloned().collect();
        ids.sort();
        ids
    }

    /// The host goes down and comes up again: nothing runs, kept sandboxes have their files.
    pub fn reboot(&self) {
        let mut cells = self.cells();
        cells.retain(|_, cell| cell.spec.lifetime == Lifetime::Kept);
        for cell in cells.values() {
            cell.halt(SandboxState::Stopped);
        }
    }

    /// A sandbox is removed behind the back of its owner.
    pub fn lose(&self, id: &SandboxId) {
        self.remove(id);
    }

    /// The commands that run in a sandbox.
    pub fn processes(&self, id: &SandboxId) -> usize {
        self.get(id).map_or(0, |cell| cell.inside().processes.len())
    }

    /// How often a sandbox was really started.
    pub fn starts(&self, id: &SandboxId) -> u64 {
        self.get(id).map_or(0, |cell| cell.inside().starts)
    }
}
