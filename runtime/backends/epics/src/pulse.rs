//! How a server that was quiet is asked, and how its channels are told that it hangs.

use crate::link::Link;
use epics_base_rs::error::CaError;
use epics_ca_rs::client::CaChannel;
use fodo_control::{Fault, Pulse};
use std::sync::Weak;
use tokio::sync::watch;
use tokio::time::sleep;

/// A channel of a server.
pub type Member = (CaChannel, watch::Sender<Link>);

/// A server that channels were found on.
pub type Server = Pulse<Member>;

/// Watches a server as long as somebody holds it.
pub async fn watch_over(server: Weak<Server>) {
    loop {
        let Some(server) = server.upgrade() else { return };
        if server.is_to_be_asked() {
            ask(&server).await;
        }
        if let Some(silent) = server.turned() {
            tell(&server, silent);
        }
        let pause = server.pause();
        drop(server);
        sleep(pause).await;
    }
}

/// Waits for an answer from any of its channels.
async fn ask(server: &Server) {
    // more than one, in case the first is just being lost
    for (_, (channel, _)) in server.members(8) {
        match channel.get_with_timeout_count(Server::PATIENCE, 1).await {
            Err(CaError::Disconnected | CaError::Shutdown) => {}
            Err(CaError::Timeout) => return,
            // no right to read, or no such type: an answer all the same
            Ok(_) | Err(_) => return server.heard(),
        }
    }
}

/// Tells all its channels, and who follows them.
fn tell(server: &Server, silent: bool) {
    let why = server.silence().unwrap_or_default();
    for (name, (_, link)) in server.members(usize::MAX) {
        link.send_modify(|link| match (silent, link.newest.clone()) {
            (true, _) => link.tell(|| Err(Fault::absent(&name, why.as_str()))),
            (false, Some(newest)) => link.tell(|| Ok(newest.clone())),
            (false, None) => {}
        });
    }
}
