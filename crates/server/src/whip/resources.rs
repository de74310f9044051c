//! The sessions behind WHIP and WHEP addresses.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crosspoint_control::api::{JoinRequest, Offer, SessionEvent};
use crosspoint_control::model::{Identity, Reason, RoomName};
use crosspoint_control::shared::SharedEvent;
use crosspoint_media::config::SessionId;
use tokio::sync::{Mutex, mpsc};

use super::fragment::Fragment;
use super::{Protocol, random_id};
use crate::app::App;
use crate::auth::Grant;
use crate::auth::extract::{Authenticated, TokenDigest};
use crate::http::problem::Problem;
use crate::telemetry;

/// All resources by id. An id cannot be guessed; the token is asked for all the same.
#[derive(Default)]
pub(crate) struct Resources(std::sync::Mutex<HashMap<String, Arc<Resource>>>);

impl Resources {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Resource>> {
        self.lock().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Resource>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A WHIP or WHEP session.
pub(super) struct Resource {
    pub(super) protocol: Protocol,
    pub(super) session: SessionId,
    pub(super) owner: Owner,
    pub(super) ice: Mutex<IceSession>,
}

/// The ICE session that is in force.
pub(super) struct IceSession {
    /// Its entity tag, quotes included.
    pub(super) etag: String,
    /// What the client offered: its user fragment, and the frame of an answer to it.
    pub(super) offered: Fragment,
}

/// Whose session it is.
pub(super) struct Owner {
    pub(super) room: RoomName,
    pub(super) token: TokenDigest,
    issuer: String,
    identity: Option<Identity>,
}

impl Owner {
    pub(super) fn of(caller: &Authenticated, room: &RoomName) -> Self {
        Self {
            room: room.clone(),
            token: caller.token,
            issuer: caller.grant.issuer().to_owned(),
            identity: caller.grant.identity().cloned(),
        }
    }

    /// Whether a grant is for the same participant. Tokens without identity are all alike, so
    /// there only the very token counts.
    pub(super) fn is(&self, grant: &Grant) -> bool {
        self.issuer == grant.issuer()
            && self.identity.is_some()
            && self.identity.as_ref() == grant.identity()
    }
}

/// Joins and answers; returns the resource's id, the answer and its entity tag.
pub(super) async fn begin(
    app: &Arc<App>,
    protocol: Protocol,
    request: JoinRequest,
    sdp: String,
    offered: Fragment,
    owner: Owner,
) -> Result<(String, String, String), Problem> {
    let tracks = Vec::new();
    let offer = Offer { sdp, tracks };
    let control = &app.control;
    control.check_offer(&request.permissions, &offer).await?;
    let joined = app.control.join(request).await?;
    let session = joined.session;
    let answer = match app.control.offer(session, offer).await {
        Ok(answer) => answer.sdp,
        Err(error) => {
            // Nothing has come of this join; why is in the reply.
            let _ = app.control.leave(session, Reason::ClientLeft).await;
            return Err(error.into());
        }
    };
    let id = random_id(22);
    let etag = new_etag();
    let resource = Arc::new(Resource {
        protocol,
        session,
        owner,
        ice: Mutex::new(IceSession {
            etag: etag.clone(),
            offered,
        }),
    });
    app.whip.lock().insert(id.clone(), resource);
    tokio::spawn(follow(Arc::clone(app), id.clone(), joined.events));
    Ok((id, answer, etag))
}

/// These clients are told nothing; when the session ends, its address does too.
async fn follow(app: Arc<App>, id: String, mut events: mpsc::Receiver<SharedEvent>) {
    let joined = Instant::now();
    let mut connected = false;
    while let Some(event) = events.recv().await {
        match *event {
            SessionEvent::Connected if !core::mem::replace(&mut connected, true) => {
                telemetry::note_join(joined.elapsed());
            }
            SessionEvent::Ended(reason) => {
                tracing::debug!(reason = reason.label(), "WHIP or WHEP session ended");
                break;
            }
            _ => {}
        }
    }
    app.whip.remove(&id);
}

/// A fresh entity tag (RFC 9110 §8.8.3), quotes included.
pub(super) fn new_etag() -> String {
    format!("\"{}\"", random_id(12))
}
