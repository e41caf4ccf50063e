//! The handle of a running plane, and the thread that it runs on.
//!
//! A thread of its own with a runtime of its own: flows share state without locks, a busy sandbox takes no turn
//! of its owner's tasks, and an owner that blocks does not stop the sandbox's traffic.

use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle};

use agentkernel_policy::CompiledNetwork;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Device, Options, Published, Statistics,
    plane::{Order, Plane},
    statistics::Counters,
};

/// Small: the plane does not recurse.
const STACK: usize = 512 * 1024;

/// What can go wrong with a plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the egress of the sandbox")]
    Start(#[source] io::Error),
    #[error("cannot publish {address}; choose another port, or 0 for any")]
    Publish { address: SocketAddr, source: io::Error },
    #[error("{0} is not published")]
    NotPublished(SocketAddr),
    #[error("the egress of the sandbox has ended, so the sandbox has no network")]
    Ended,
}

/// A running plane. Dropping it cuts the sandbox off.
#[derive(Debug)]
pub struct Egress {
    orders: mpsc::Sender<Order>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// Becomes the gateway of the device. Connections leave from the network namespace of the calling thread.
pub fn start(device: Device, options: Options) -> Result<Egress, Error> {
    let counters = Arc::new(Counters::default());
    let (orders, incoming) = mpsc::channel(16);
    let (told, ready) = std::sync::mpsc::sync_channel(1);
    let plane_counters = Arc::clone(&counters);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(told.send(Err(error))),
        };
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            match Plane::new(device, options, plane_counters) {
                Ok(plane) => {
                    let _ = told.send(Ok(()));
                    plane.run(incoming).await;
                }
                Err(error) => drop(told.send(Err(error))),
            }
        });
    };
    let builder = std::thread::Builder::new()
        .name("egress".into())
        .stack_size(STACK);
    let thread = builder.spawn(body).map_err(Error::Start)?;
    match ready.recv() {
        Ok(Ok(())) => Ok(Egress {
            orders,
            counters,
            thread: Some(thread),
        }),
        Ok(Err(error)) => Err(Error::Start(error)),
        Err(_) => Err(Error::Ended),
    }
}

impl Egress {
    /// Replaces the policy. When this returns, the old one allows nothing any more: what it alone allowed is cut.
    pub async fn apply(&self, policy: Arc<CompiledNetwork>) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Apply(policy, done)).await?;
        answer.await.map_err(|_| Error::Ended)
    }

    /// Opens a port of the host that leads into the sandbox. Returns the address that was bound.
    pub async fn publish(&self, published: Published) -> Result<SocketAddr, Error> {
        let (done, answer) = oneshot::channel();
        let address = published.host;
        self.order(Order::Publish(published, done)).await?;
        let bound = answer.await.map_err(|_| Error::Ended)?;
        bound.map_err(|source| Error::Publish { address, source })
    }

    /// Closes a published port, by the address that [`Self::publish`] returned. Its connections are cut.
    pub async fn unpublish(&self, published: Published) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        let address = published.host;
        self.order(Order::Unpublish(published, done)).await?;
        let found = answer.await.map_err(|_| Error::Ended)?;
        if found {
            Ok(())
        } else {
            Err(Error::NotPublished(address))
        }
    }

    pub fn statistics(&self) -> Statistics {
        self.counters.read()
    }

    /// Whether the plane still runs. It ends by itself when its device does.
    pub fn is_running(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Cuts off a sandbox that is over, or will be in a moment: its device is left to the end of its namespace.
    pub async fn leave(self) {
        let (done, answer) = oneshot::channel();
        if self.order(Order::Leave(done)).await.is_ok() {
            let _ = answer.await;
        }
        self.shutdown();
    }

    /// Cuts the sandbox off and waits until everything is closed.
    pub fn shutdown(mut self) {
        self.stop();
    }

    async fn order(&self, order: Order) -> Result<(), Error> {
        self.orders.send(order).await.map_err(|_| Error::Ended)
    }

    fn stop(&mut self) {
        // The last sender: the plane sees the end of its orders.
        let (gone, _) = mpsc::channel(1);
        self.orders = gone;
        if let Some(thread) = self.thread.take() {
            // A panic was told by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.stop();
    }
}
