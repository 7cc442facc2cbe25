//! How a server that was quiet is asked, and how its channels are told that it hangs.

use crate::link::Link;
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::error::PvaError;
use fodo_control::{Fault, Pulse};
use std::sync::Weak;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A server that channels were found on.
pub type Server = Pulse<watch::Sender<Link>>;

/// Watches a server as long as somebody holds it.
pub async fn watch_over(client: PvaClient, server: Weak<Server>) {
    loop {
        let Some(server) = server.upgrade() else { return };
        if server.is_to_be_asked() {
            ask(&client, &server).await;
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
async fn ask(client: &PvaClient, server: &Server) {
    // more than one, in case the first is just being lost
    for (name, link) in server.members(8) {
        let mut link = link.subscribe();
        let answer = tokio::select! {
            answer = timeout(Server::PATIENCE, client.pvget(&name)) => answer,
            _ = link.wait_for(|link| !link.connected) => continue,
        };
        match answer {
            Err(_) | Ok(Err(PvaError::Timeout)) => return,
            // refused: an answer all the same
            Ok(Ok(_) | Err(PvaError::RemoteError(_))) => return server.heard(),
            Ok(Err(_)) => {}
        }
    }
}

/// Tells all its channels, and who follows them.
fn tell(server: &Server, silent: bool) {
    let why = server.silence().unwrap_or_default();
    for (name, link) in server.members(usize::MAX) {
        link.send_modify(|link| match (silent, link.newest.clone()) {
            (true, _) => link.tell(|| Err(Fault::absent(&name, why.as_str()))),
            (false, Some(newest)) => link.tell(|| Ok(newest.clone())),
            (false, None) => {}
        });
    }
}
