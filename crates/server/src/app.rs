//! What all front doors share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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
    recordings: OnceLock<Arc<Recordings>>,
    pub(crate) calls: Calls,
    pub(crate) started: Instant,
    draining: AtomicBool,
}

impl App {
    /// Puts the parts together. To be called within a tokio runtime, whose tasks calls live on.
    #[must_use]
    pub fn new(
        control: Arc<dyn RoomControl>,
        keys: Keys,
        config: Config,
        development: bool,
        store: Option<Store>,
    ) -> Arc<Self> {
        crate::telemetry::install();
        let calls = Calls::start(Arc::clone(&control), keys.clone(), development);
        let judge = SignedClient::new(&config.webhooks, &keys);
        let moderation = Moderation::new(judge.ok());
        Arc::new(Self {
            calls,
            control,
            keys,
            config,
            development,
            store,
            reporter: Arc::default(),
            snapshots: Arc::default(),
            moderation,
            signal: Sessions::default(),
            whip: Resources::default(),
            recordings: OnceLock::new(),
            started: Instant::now(),
            draining: AtomicBool::new(false),
        })
    }

    /// Makes recordings possible; to be called once.
    pub(crate) fn set_recordings(&self, recordings: Arc<Recordings>) {
        let _ = self.recordings.set(recordings);
    }

    /// Recordings, if they are switched on.
    pub(crate) fn recordings(&self) -> Option<&Arc<Recordings>> {
        self.recordings.get()
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
