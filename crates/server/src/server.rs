//! A whole server: media and rooms behind HTTP, from start to a graceful stop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use crosspoint_control::api::RoomControl;
use crosspoint_control::model::Reason;
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::Keys;
use crate::config::Config;
use crate::recordings::Recordings;
use crate::report::history::Historian;
use crate::tls::Tls;
use crate::{development, http, records, webhook};

/// Most bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Most requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;

/// How long answers under way may take when the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How often a draining server looks whether everybody has left.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// Starts servers.
pub struct Server;

/// A server that runs until [`stop`](Self::stop).
pub struct RunningServer {
    app: Arc<App>,
    http_addr: SocketAddr,
    handle: Handle,
}

/// Who may come in, and where.
pub(crate) struct Access {
    pub(crate) keys: Keys,
    pub(crate) development: bool,
}

impl Access {
    /// The configured keys, or development mode when there are none.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let keys = Keys::parse(config.keys.reveal()).context("keys")?;
        if !keys.is_empty() {
            return Ok(Self {
                keys,
                development: false,
            });
        }
        Ok(Self {
            keys: development::key(&config.data_dir)?,
            development: true,
        })
    }
}

impl Server {
    /// Starts everything. Port 0 takes any free one.
    ///
    /// # Errors
    /// An address in use, a certificate that cannot be read, a data folder that cannot be written.
    pub async fn start(config: Config) -> anyhow::Result<RunningServer> {
        let access = Access::of(&config)?;
        let control = crate::media::start(&config, access.development)?;
        Self::start_with(config, access, control).await
    }

    /// Starts HTTP before a control plane that runs already.
    pub(crate) async fn start_with(
        config: Config,
        access: Access,
        control: Arc<dyn RoomControl>,
    ) -> anyhow::Result<RunningServer> {
        install_crypto();
        for weak in access.keys.weak() {
            tracing::warn!(key = weak, "the key's secret is shorter than 32 bytes");
        }
        let listeners = listeners(config.http.listen, access.development)?;
        let http_addr = listeners
            .first()
            .context("there is no address to listen on")?
            .local_addr()?;
        let tls = tls(&config)?;
        let header_timeout = Duration::from_secs(config.http.header_timeout_s);
        let store = records::open(&config).await?;
        let store = store.map(|store| (store, records::node(&http_addr)));
        let recordings = Recordings::start(&config, Arc::clone(&control), store.clone())?;
        let recorded = recordings.as_ref().map(|recordings| recordings.events());
        let app = App::new(
            control,
            access.keys,
            config,
            access.development,
            store,
            recordings,
        );
        webhook::start(
            &app.config.webhooks,
            &app.keys,
            app.control.events(),
            recorded,
            app.calls.service.webhooks(),
        )?;
        let historian = Historian::new(
            app.store.clone(),
            records::node(&http_addr),
            app.config.history,
            app.control.events(),
        );
        app.reporter.start(Arc::clone(&app.control), historian);
        if let Some(recordings) = app.recordings() {
            recordings.take_up().context("recordings")?;
        }
        let service =
            http::router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
        let handle = Handle::new();
        for listener in listeners {
            let mut server = axum_server::from_tcp(listener).handle(handle.clone());
            let builder = server.http_builder();
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(HEADER_BYTES_MAX);
            builder
                .http2()
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
                .max_concurrent_streams(STREAMS_MAX);
            let service = service.clone();
            // Without TCP_NODELAY, small answers on reused connections wait 40 ms.
            let plain = NoDelayAcceptor::new();
            match tls.clone() {
                Some(tls) => {
                    let acceptor = RustlsAcceptor::new(tls).acceptor(plain);
                    spawn(server.acceptor(acceptor).serve(service));
                }
                None => spawn(server.acceptor(plain).serve(service)),
            }
        }
        Ok(RunningServer {
            app,
            http_addr,
            handle,
        })
    }
}

impl RunningServer {
    /// Where HTTP is served.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// What the front doors share.
    #[must_use]
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Refuses joins, tells everyone, and waits until all have left, or for `stop.drain_s`.
    pub async fn drain(&self) {
        self.app.drain().await;
        let deadline = Instant::now() + Duration::from_secs(self.app.config.stop.drain_s);
        while self.app.session_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// Ends everything now; those who are still here are told `server_shutdown`, and have a moment
    /// to hear it.
    pub async fn stop(self) {
        let control = &self.app.control;
        for room in control.rooms().await.unwrap_or_default() {
            // It may have ended in between.
            let _ = control
                .delete_room(&room.name, Reason::ServerShutdown)
                .await;
        }
        self.handle.graceful_shutdown(Some(LAST_ANSWERS));
        let deadline = Instant::now() + LAST_ANSWERS;
        while self.app.session_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        // Calls have ended with their rooms: their devices are told, and they have records now.
        let settled = self.app.calls.service.settled();
        let _ = tokio::time::timeout(LAST_ANSWERS, settled).await;
        self.app.sockets.close().await;
        if let Some(store) = &self.app.store {
            let _ = tokio::time::timeout(LAST_ANSWERS, store.flush()).await;
        }
    }
}

/// Chooses the process's TLS implementation; without effect when it is chosen already.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Development mode listens on the loopback addresses whatever is configured, IPv6 if there is any.
fn listeners(listen: SocketAddr, development: bool) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: SocketAddr| {
        TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address} (http.listen)"))
    };
    if !development {
        return Ok(vec![bind(listen)?]);
    }
    let v4 = bind((Ipv4Addr::LOCALHOST, listen.port()).into())?;
    let port = v4.local_addr()?.port();
    let v6 = TcpListener::bind((IpAddr::from(Ipv6Addr::LOCALHOST), port));
    if let Err(error) = &v6
        && error.kind() == io::ErrorKind::AddrInUse
    {
        tracing::warn!(
            port,
            "another program listens on [::1]; use http://127.0.0.1:{port}/"
        );
    }
    Ok(std::iter::once(v4).chain(v6).collect())
}

fn tls(config: &Config) -> anyhow::Result<Option<RustlsConfig>> {
    if !config.has_tls() {
        return Ok(None);
    }
    let tls = Tls::read(&config.http.tls_certificate, &config.http.tls_key)?;
    if let Some(remark) = tls.remark {
        tracing::warn!("{remark}");
    }
    Ok(Some(RustlsConfig::from_config(tls.config)))
}

fn spawn(server: impl Future<Output = io::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "HTTP has ended");
        }
    });
}
