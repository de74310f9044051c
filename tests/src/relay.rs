//! A UDP relay in front of a server, whose far side can change its port: what a NAT does when it
//! forgets a binding.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinHandle;

/// See the module documentation.
pub struct Relay {
    near: Arc<UdpSocket>,
    server: SocketAddr,
    far: Arc<RwLock<Arc<UdpSocket>>>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Listens on `near` for one client and passes its datagrams on to `server`.
    ///
    /// # Errors
    /// When a socket cannot be bound.
    pub async fn start(near: SocketAddr, server: SocketAddr) -> Result<Self> {
        let near = Arc::new(UdpSocket::bind(near).await?);
        let far = Arc::new(RwLock::new(Arc::new(far_socket().await?)));
        let mut relay = Self {
            near,
            server,
            far,
            client: Arc::default(),
            tasks: Vec::new(),
        };
        relay.pass_out();
        relay.pass_back().await;
        Ok(relay)
    }

    /// From now on the server sees the client at another port; what it sends to the old one is lost.
    ///
    /// # Errors
    /// When a socket cannot be bound.
    pub async fn change_port(&mut self) -> Result<()> {
        *self.far.write().await = Arc::new(far_socket().await?);
        if let Some(old) = self.tasks.pop() {
            old.abort();
        }
        self.pass_back().await;
        Ok(())
    }

    fn pass_out(&mut self) {
        let (near, far, server) = (Arc::clone(&self.near), Arc::clone(&self.far), self.server);
        let client = Arc::clone(&self.client);
        self.tasks.push(tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = near.recv_from(&mut buffer).await {
                *client.lock().await = Some(from);
                let far = Arc::clone(&*far.read().await);
                let _ = far.send_to(&buffer[..len], server).await;
            }
        }));
    }

    async fn pass_back(&mut self) {
        let (near, client) = (Arc::clone(&self.near), Arc::clone(&self.client));
        let far = Arc::clone(&*self.far.read().await);
        self.tasks.push(tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, _)) = far.recv_from(&mut buffer).await {
                if let Some(client) = *client.lock().await {
                    let _ = near.send_to(&buffer[..len], client).await;
                }
            }
        }));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn far_socket() -> Result<UdpSocket> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?)
}
