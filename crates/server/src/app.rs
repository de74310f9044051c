//! What all front doors share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crosspoint_control::api::RoomControl;
use crosspoint_store::Store;

use crate::auth::Keys;
use crate::calls::Calls;
use crate::config::Config;
use crate::recordings::Recordings;
use crate::report::Reporter;
use crate::signal::Sessions;
use crate::snapshot::Snapshots;
use crate::snapshot::moderation::Moderation;
use crate::sockets::Sockets;
use crate::webhook::SignedClient;
use crate::whip::Resources;

/// State of a server that its HTTP handlers share.
pub struct App {
    /// The one door to rooms.
    pub control: Arc<dyn RoomControl>,
    /// What tokens are verified with.
    pub keys: Keys,
    /// Settings.
    pub config: Config,
    /// Whether this is development mode: loopback only, tokens for the pages.
    pub development: bool,
    /// Records; `None` while there is no place for them.
    pub store: Option<Store>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) moderation: Moderation,
    pub(crate) signal: Sessions,
    pub(crate) whip: Resources,
    pub(crate) sockets: Arc<Sockets>,
    recordings: Option<Arc<Recordings>>,
    pub(crate) calls: Calls,
    pub(crate) started: Instant,
    draining: AtomicBool,
}

impl App {
    /// Puts the parts together; `store` comes with the name that this node has in it. To be called within
    /// a tokio runtime, whose tasks calls live on.
    #[must_use]
    pub fn new(
        control: Arc<dyn RoomControl>,
        keys: Keys,
        config: Config,
        development: bool,
        store: Option<(Store, String)>,
        recordings: Option<Arc<Recordings>>,
    ) -> Arc<Self> {
        crate::telemetry::install();
        let calls = Calls::start(
            Arc::clone(&control),
            keys.clone(),
            development,
            store.clone(),
            days(config.store.call_records_days),
            recordings.as_ref(),
        );
        let judge = SignedClient::new(&config.webhooks, &keys);
        let moderation = Moderation::new(judge.ok());
        Arc::new(Self {
            calls,
            control,
            keys,
            config,
            development,
            store: store.map(|(store, _)| store),
            reporter: Arc::default(),
            snapshots: Arc::default(),
            moderation,
            signal: Sessions::default(),
            whip: Resources::default(),
            sockets: Sockets::new(),
            recordings,
            started: Instant::now(),
            draining: AtomicBool::new(false),
        })
    }

    /// Recordings, if they are switched on.
    pub(crate) fn recordings(&self) -> Option<&Arc<Recordings>> {
        self.recordings.as_ref()
    }

    /// Whether joins are refused because the server is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Refuses joins from now on and tells everyone.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.control.drain().await;
    }

    /// Sessions that came in by the front doors and are still there.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.signal.len() + self.whip.len()
    }
}

/// So many days; none stand for ever.
fn days(days: u64) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 3600)))
}
