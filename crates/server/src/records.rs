//! The store of this server: where it is, and what happens when there is no place for it.

use std::net::SocketAddr;

use anyhow::Context as _;
use crosspoint_store::Store;

use crate::config::Config;

/// Opens the configured store. A disk without room costs the records, not the server: they are then
/// kept in memory while it runs. A PostgreSQL server that was asked for by name must be there.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Option<Store>> {
    let url = config.store.url.reveal();
    if !url.is_empty() {
        let store = Store::open(url).await.context("store.url")?;
        return Ok(Some(store));
    }
    let file = config.data_dir.join("crosspoint.db");
    let made = std::fs::create_dir_all(&config.data_dir);
    let opened = match made {
        Ok(()) => Store::open(&format!("sqlite:{}?mode=rwc", file.display()))
            .await
            .map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    match opened {
        Ok(store) => Ok(Some(store)),
        Err(error) => {
            tracing::warn!(
                file = %file.display(), error = %format!("{error:#}"),
                "records are kept in memory only, and are lost when the server stops"
            );
            Ok(Store::open("sqlite::memory:").await.ok())
        }
    }
}

/// A name for this server that stays the same when it is started again.
pub(crate) fn node(address: &SocketAddr) -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "node",
        host => host,
    };
    format!("{host}:{}", address.port())
}
