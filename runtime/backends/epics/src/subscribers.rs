//! What clients have open: subscriptions of different clients to one variable, kept apart, and who can see what.
//!
//! The library lists a variable's subscribers by the number that the client chose, and removes by
//! that number. Clients all count from 1, so one that leaves would take the others' subscriptions
//! with it. Here each gets a number of its own as soon as it is there, and is removed by that.

use crate::board::Board;
use epics_base_rs::server::pv::ProcessVariable;
use epics_ca_rs::server::ServerConnectionEvent;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// Our numbers start here; a client would have to open two thousand million monitors to get there.
const OWN: u32 = 1 << 31;

/// Where the library has to tell what its clients do.
///
/// A subscription is renumbered inside the library's call that tells of it, so on a runtime with
/// one thread no other client can do anything while it has the number of its client.
pub fn keep_apart(board: Arc<Board>) -> Sender<ServerConnectionEvent> {
    let (sender, events) = channel(256);
    let subscribers = Subscribers { board, open: HashMap::new(), next: 0 };
    AtOnce::start(tokio::task::unconstrained(subscribers.follow(events)));
    sender
}

struct Subscribers {
    board: Arc<Board>,
    open: HashMap<(SocketAddr, u32), (Arc<ProcessVariable>, u32)>,
    next: u32,
}

impl Subscribers {
    async fn follow(mut self, mut events: Receiver<ServerConnectionEvent>) {
        loop {
            match events.recv().await {
                Ok(ServerConnectionEvent::SubscriptionOpened { peer, pv_name, sub_id, .. }) => {
                    self.opened(peer, &pv_name, sub_id);
                }
                Ok(ServerConnectionEvent::SubscriptionClosed { peer, sub_id, .. }) => self.closed(peer, sub_id),
                Ok(ServerConnectionEvent::ChannelCreated { pv_name, .. }) => self.board.opened(&pv_name),
                Ok(ServerConnectionEvent::ChannelCleared { pv_name, .. }) => self.board.closed(&pv_name),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn opened(&mut self, peer: SocketAddr, name: &str, theirs: u32) {
        let own = OWN | self.next;
        self.next = (self.next + 1) % OWN;
        let found = match self.board.variable(name) {
            Some(variable) => renumber(variable, theirs, own).then_some(variable),
            // by another name, such as one with a filter
            None => self.board.all().find(|variable| renumber(variable, theirs, own)),
        };
        if let Some(variable) = found {
            self.open.insert((peer, theirs), (variable.clone(), own));
        }
    }

    fn closed(&mut self, peer: SocketAddr, theirs: u32) {
        if let Some((variable, own)) = self.open.remove(&(peer, theirs)) {
            variable.remove_subscriber(own);
        }
    }
}

fn renumber(variable: &ProcessVariable, theirs: u32, own: u32) -> bool {
    let mut subscribers = variable.subscribers.lock();
    let found = subscribers.iter_mut().find(|subscriber| subscriber.sid == theirs);
    found.map(|subscriber| subscriber.sid = own).is_some()
}

/// A task that goes on inside the call that wakes it, instead of some time later.
struct AtOnce {
    task: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
}

impl AtOnce {
    fn start(task: impl Future<Output = ()> + Send + 'static) {
        Waker::from(Arc::new(AtOnce { task: Mutex::new(Some(Box::pin(task))), woken: AtomicBool::new(false) })).wake();
    }
}

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        while self.woken.load(Ordering::SeqCst) {
            // who holds it sees the flag when done
            let Ok(mut task) = self.task.try_lock() else { return };
            self.woken.store(false, Ordering::SeqCst);
            let waker = Waker::from(self.clone());
            let ended =
                task.as_mut().is_none_or(|task| task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
            if ended {
                *task = None;
            }
        }
    }
}
