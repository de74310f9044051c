//! How a client comes in: the signalling of the server under test.
//!
//! [`Door::join`] does all of it: opens the client's socket, exchanges descriptions, lets the client
//! connect, and hands back what is needed to leave again.

mod janus;
mod signal;
mod whip;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crosspoint_transport::srtp::Profile;
use crosspoint_wire::codec::MediaKind;

use crate::access::Access;
use crate::clip::Clip;
use crate::peer::{Plan, Publication, Talk, open};
use crate::pool::{PeerId, Pool};
use crate::sdp::{Line, Local, Remote, Setup};

/// A server's signalling.
pub enum Door {
    /// WHIP for those who only send, WHEP for those who only receive.
    Http(whip::Endpoints),
    /// Crosspoint's own, for those who do both.
    Signal(signal::Endpoint),
    /// Janus's VideoRoom, by its HTTP API.
    Janus(janus::Endpoint),
}

/// One participant as a scenario wants it.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Where to.
    pub room: String,
    /// As whom.
    pub identity: String,
    /// What is sent.
    pub publishes: Vec<Medium>,
    /// Audio streams that may be received.
    pub audio_slots: usize,
    /// Video streams that may be received.
    pub video_slots: usize,
    /// The only one who is listened to and watched; without, everybody is. Other signalling than
    /// Crosspoint's cannot say this.
    pub only: Option<String>,
}

/// One track that is published.
#[derive(Clone, Debug)]
pub enum Medium {
    /// Opus.
    Audio(Arc<Clip>, Talk),
    /// VP8.
    Video(Arc<Clip>),
    /// VP8 in several sizes, smallest first.
    Simulcast(Vec<Arc<Clip>>),
}

/// RIDs of simulcast, smallest first.
const RIDS: [&str; 3] = ["q", "h", "f"];

/// What all participants share.
#[derive(Clone, Debug)]
pub struct Common {
    /// Local address of all sockets.
    pub local: IpAddr,
    /// Whether transport-wide feedback is offered.
    pub feedback: bool,
    /// What may be received, for the check of contents.
    pub clips: Vec<Arc<Clip>>,
}

/// A participant that is in.
pub struct Member {
    peer: PeerId,
    exit: Exit,
    /// What protects its media.
    pub profile: Profile,
    /// From the first request to keys on both sides.
    pub took: Duration,
}

/// How a participant leaves.
enum Exit {
    Whip(whip::Resource),
    Signal(signal::Connection),
    Janus(janus::Session),
}

impl Door {
    /// WHIP and WHEP at URLs in which `{room}` stands for the room's name.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn http(whip: &str, whep: &str, access: Access) -> Result<Self> {
        Ok(Self::Http(whip::Endpoints::new(whip, whep, access)?))
    }

    /// A Crosspoint server's signalling at its base URL, e.g. `http://127.0.0.1:7880`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn signal(server: &str, access: Access) -> Result<Self> {
        Ok(Self::Signal(signal::Endpoint::new(server, access)?))
    }

    /// Janus at the URL of its HTTP API, e.g. `http://10.0.0.2:8088/janus`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn janus(url: &str) -> Result<Self> {
        Ok(Self::Janus(janus::Endpoint::new(url)?))
    }

    /// Lets a participant join; returns when its media flows.
    ///
    /// # Errors
    /// When the server refuses it, or media does not come up.
    pub async fn join(&self, pool: &Pool, common: &Common, who: &Participant) -> Result<Member> {
        let start = Instant::now();
        let (socket, local) = open(common.local, pool.offload(), pool.identity())?;
        let (lines, publications) = who.lines();
        let exchange = Exchange {
            local: &local,
            lines: &lines,
            feedback: common.feedback,
            who,
        };
        let (remote, exit) = match self {
            Self::Http(door) => {
                let (remote, resource) = door.enter(&exchange).await?;
                (remote, Exit::Whip(resource))
            }
            Self::Signal(door) => {
                let (remote, connection) = door.enter(&exchange).await?;
                (remote, Exit::Signal(connection))
            }
            Self::Janus(door) => {
                let (remote, session) = door.enter(&exchange).await?;
                (remote, Exit::Janus(session))
            }
        };
        let plan = Plan {
            socket,
            local,
            remote,
            publications,
            clips: common.clips.clone(),
        };
        let (peer, profile) = pool
            .add(plan)
            .await
            .with_context(|| format!("{} in {}", who.identity, who.room))?;
        Ok(Member {
            peer,
            exit,
            profile,
            took: start.elapsed(),
        })
    }
}

impl Member {
    /// Leaves.
    ///
    /// # Errors
    /// When the server does not take it; the client is gone in any case.
    pub async fn leave(self, pool: &Pool) -> Result<()> {
        pool.dismiss(self.peer).await?;
        let left = match self.exit {
            Exit::Whip(resource) => resource.delete().await,
            Exit::Signal(connection) => connection.leave().await,
            Exit::Janus(session) => session.destroy().await,
        };
        pool.remove(self.peer)?;
        left
    }
}

impl Participant {
    /// Its m-lines and the streams on them.
    fn lines(&self) -> (Vec<Line>, Vec<Publication>) {
        let mut lines = Vec::new();
        let mut publications = Vec::new();
        for medium in &self.publishes {
            let line = lines.len();
            let mut publish = |clip: &Arc<Clip>, rid, talk| {
                let ssrc = rand::random();
                publications.push(Publication {
                    line,
                    clip: Arc::clone(clip),
                    ssrc,
                    rid,
                    talk,
                });
                ssrc
            };
            lines.push(match medium {
                Medium::Audio(clip, talk) => Line::Send {
                    kind: MediaKind::Audio,
                    ssrc: publish(clip, None, *talk),
                },
                Medium::Video(clip) => Line::Send {
                    kind: MediaKind::Video,
                    ssrc: publish(clip, None, Talk::ALWAYS),
                },
                Medium::Simulcast(clips) => {
                    let sizes: Vec<_> = clips.iter().zip(RIDS).collect();
                    for (clip, rid) in &sizes {
                        publish(clip, Some(*rid), Talk::ALWAYS);
                    }
                    Line::SendSimulcast {
                        rids: sizes.into_iter().map(|(_, rid)| rid).collect(),
                    }
                }
            });
        }
        let slots = [
            (MediaKind::Audio, self.audio_slots),
            (MediaKind::Video, self.video_slots),
        ];
        for (kind, count) in slots {
            lines.extend(std::iter::repeat_n(Line::Receive { kind }, count));
        }
        (lines, publications)
    }
}

/// What a door needs to exchange descriptions.
struct Exchange<'a> {
    local: &'a Local,
    lines: &'a [Line],
    feedback: bool,
    who: &'a Participant,
}

impl Exchange<'_> {
    fn offer(&self, setup: Setup) -> String {
        crate::sdp::offer(self.local, self.lines, self.feedback, setup)
    }

    fn remote(&self, sdp: &str) -> Result<Remote> {
        Remote::parse(sdp, self.local.address)
            .with_context(|| format!("the server's description cannot be used:\n{sdp}"))
    }
}

/// The address that this machine uses towards the host of `url`.
///
/// # Errors
/// When the host cannot be found.
pub fn local_address(url: &str) -> Result<IpAddr> {
    let url = reqwest::Url::parse(url).with_context(|| format!("{url} is no URL"))?;
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().unwrap_or(80);
    let host = host.trim_matches(['[', ']']);
    // "localhost" may be ::1 first; media is where the server listens, which is mostly IPv4.
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let address = *addresses.first().context("the host has no address")?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket.local_addr()?.ip())
}

/// An HTTP client that keeps connections, and does not wait before small packets.
pub(crate) fn http_client() -> Result<reqwest::Client> {
    // Another part of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tcp_nodelay(true)
        .timeout(Duration::from_secs(30))
        .build()?)
}
