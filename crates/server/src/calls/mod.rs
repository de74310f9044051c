//! Carriers of calls: what speaks to the call service from outside.
//!
//! | file | what |
//! |---|---|
//! | `socket` | `GET /v1/calls/connect`: a WebSocket per device, in the dialect that the client names |
//! | `push` | the agent SDK's server-sent events and commands by HTTP |
//! | `dial` | where a number of the phonebar leads |
//! | `verbs` | the native verbs by HTTP |
//! | `admin` | tenants, users, groups, bans, calls: the API of application servers |
//! | `records` | the same for calls that have ended |
//! | `who` | credentials: who a device belongs to |
//! | `archive` | what of it the store keeps |
//! | `recorder` | recordings of calls |
//! | `sample` | tenants that stand ready in development mode |

pub(crate) mod who;

mod admin;
mod archive;
mod dial;
mod push;
mod recorder;
mod records;
mod sample;
mod socket;
mod verbs;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crosspoint_calls::dialect::link::Link;
use crosspoint_calls::ids::{DeviceRef, SessionKey};
use crosspoint_calls::media::MediaGrant;
use crosspoint_calls::service::archive::{Archive, MemoryArchive};
use crosspoint_calls::service::{CallService, Foundation, Tickets};
use crosspoint_control::api::RoomControl;
use crosspoint_store::Store;
use utoipa_axum::router::OpenApiRouter;

use self::archive::StoreArchive;
use crate::app::App;
use crate::auth::{Keys, TokenRequest};
use crate::recordings::Recordings;

/// How long a room token is good for. A call may be joined again until then.
const TICKET_TTL: Duration = Duration::from_secs(6 * 3600);
/// Sessions whose sockets are gone that are remembered.
const DETACHED_MAX: usize = 50_000;
/// For how long; longer than any tenant's grace needs.
const DETACHED_FOR: Duration = Duration::from_secs(600);

/// The call service and the sessions of its devices.
pub(crate) struct Calls {
    pub(crate) service: Arc<CallService>,
    sessions: Mutex<HashMap<SessionKey, Session>>,
}

/// A device's codec, kept over sockets that come and go.
#[derive(Clone)]
struct Session {
    device: DeviceRef,
    link: Arc<tokio::sync::Mutex<Link>>,
    seen: Instant,
}

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(socket::routes())
        .merge(push::routes())
        .merge(dial::routes())
        .merge(verbs::routes())
        .merge(admin::routes())
        .merge(records::routes())
}

impl Calls {
    /// Starts the service. `keep`: how long records are kept, for ever where there is nothing.
    pub(crate) fn start(
        control: Arc<dyn RoomControl>,
        keys: Keys,
        development: bool,
        store: Option<(Store, String)>,
        keep: Option<Duration>,
        recordings: Option<&Arc<Recordings>>,
    ) -> Self {
        let archive: Arc<dyn Archive> = match store {
            Some((store, node)) => {
                let archive = Arc::new(StoreArchive::new(store, node));
                if let Some(keep) = keep {
                    tokio::spawn(archive::prune(Arc::downgrade(&archive), keep));
                }
                archive
            }
            None => Arc::new(MemoryArchive::default()),
        };
        let recorder = recordings
            .map(|recordings| recorder::start(Arc::clone(recordings), Arc::clone(&archive)));
        let service = CallService::start(Foundation {
            control,
            tickets: Arc::new(Signer(keys)),
            archive,
            recorder,
            seed: rand::random(),
        });
        if development {
            tokio::spawn(sample::furnish(Arc::clone(&service)));
        }
        Self {
            service,
            sessions: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a session by the secret that the device was given.
    fn remember(&self, key: SessionKey, device: DeviceRef, link: Arc<tokio::sync::Mutex<Link>>) {
        let now = Instant::now();
        let mut sessions = self.lock();
        if sessions.len() >= DETACHED_MAX {
            sessions.retain(|_, session| {
                Arc::strong_count(&session.link) > 1
                    || now.duration_since(session.seen) < DETACHED_FOR
            });
        }
        if sessions.len() < DETACHED_MAX {
            let session = Session {
                device,
                link,
                seen: now,
            };
            sessions.insert(key, session);
        }
    }

    /// The session of this secret.
    fn find(&self, key: &SessionKey) -> Option<Session> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(key)?;
        session.seen = Instant::now();
        Some(session.clone())
    }
}

/// Signs what lets join a call's room.
struct Signer(Keys);

impl Tickets for Signer {
    fn ticket(&self, grant: &MediaGrant) -> Option<String> {
        let access = &grant.access;
        let flags = [
            ("canSubscribe", access.hears),
            ("canPublishData", false),
            ("hidden", access.hidden),
        ];
        let request = TokenRequest {
            room: grant.room.clone(),
            identity: Some(grant.identity.clone()),
            name: Some(grant.name.clone()),
            metadata: None,
            attributes: BTreeMap::new(),
            ttl: TICKET_TTL,
            grants: flags
                .iter()
                .filter_map(|(name, value)| format!("{name}={value}").parse().ok())
                .collect(),
        };
        request
            .sign(&self.0)
            .inspect_err(|error| tracing::error!(%error, "a room token could not be signed"))
            .ok()
    }
}
