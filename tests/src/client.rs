//! Clients made of the `webrtc` crate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine,
};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState,
};

use crate::server::TestServer;

/// RTP clocks, in Hz.
const VIDEO_CLOCK_HZ: u32 = 90_000;
const AUDIO_CLOCK_HZ: u32 = 48_000;

/// 20 ms of silence in Opus: fullband CELT (RFC 6716 §3.1) with nothing coded.
const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// A publisher of one VP8 or Opus track by WHIP.
pub struct Publisher {
    peer: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    location: String,
    token: String,
    ssrc: u32,
    kind: RtpCodecKind,
    sequence: u16,
    frame: u32,
}

/// A player of a room's video by WHEP.
pub struct Player {
    peer: Arc<dyn PeerConnection>,
    location: String,
    token: String,
    /// Packets as they arrive, in the clear.
    pub packets: mpsc::UnboundedReceiver<rtp::Packet>,
}

impl Publisher {
    /// Publishes to `room`; returns when media can flow.
    ///
    /// # Errors
    /// When the server refuses, or the connection does not come up.
    pub async fn start(server: &TestServer, room: &str, identity: &str) -> Result<Self> {
        Self::with_token(server, room, server.token(room, identity)?).await
    }

    /// As [`Self::start`], with a token from elsewhere.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn with_token(server: &TestServer, room: &str, token: String) -> Result<Self> {
        Self::open(server, room, token, RtpCodecKind::Video).await
    }

    /// Publishes sound in place of a picture.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn of_sound(server: &TestServer, room: &str, token: String) -> Result<Self> {
        Self::open(server, room, token, RtpCodecKind::Audio).await
    }

    async fn open(
        server: &TestServer,
        room: &str,
        token: String,
        kind: RtpCodecKind,
    ) -> Result<Self> {
        let (name, codec) = match kind {
            RtpCodecKind::Audio => ("microphone", opus()),
            _ => ("camera", vp8()),
        };
        let ssrc = rand::random();
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "stream".to_owned(),
            "track".to_owned(),
            name.to_owned(),
            kind,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(ssrc),
                    ..Default::default()
                },
                codec,
                ..Default::default()
            }],
        )));
        let (peer, events) = new_peer().await?;
        peer.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await?;
        let location = connect(server, &format!("/whip/{room}"), &token, &peer, events).await?;
        Ok(Self {
            peer,
            track,
            location,
            token,
            ssrc,
            kind,
            sequence: 1,
            frame: 0,
        })
    }

    /// Sends one frame of one packet: a VP8 keyframe whose body is `body`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_frame(&mut self, body: &[u8]) -> Result<()> {
        // RFC 7741 §4.2: S bit, no extension. §4.3: keyframe, 16x16 pixels.
        let mut payload = vec![0x10, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
        payload.extend_from_slice(body);
        self.send(96, VIDEO_CLOCK_HZ / 50, payload).await
    }

    async fn send(&mut self, payload_type: u8, step: u32, payload: Vec<u8>) -> Result<()> {
        let packet = rtp::Packet {
            header: rtp::Header {
                version: 2,
                marker: true,
                payload_type,
                sequence_number: self.sequence,
                timestamp: self.frame.wrapping_mul(step),
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload: Bytes::from(payload),
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.frame = self.frame.wrapping_add(1);
        self.track.write_rtp(packet).await.context("write_rtp")
    }

    /// Sends numbered frames, or 20 ms of silence each, 50 a second, until dropped or ended.
    pub fn send_numbered(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for number in 0_u32.. {
                ticks.tick().await;
                let sent = match self.kind {
                    RtpCodecKind::Audio => {
                        let step = AUDIO_CLOCK_HZ / 50;
                        self.send(111, step, OPUS_SILENCE.to_vec()).await
                    }
                    _ => self.send_frame(&number.to_be_bytes()).await,
                };
                if sent.is_err() {
                    return;
                }
            }
        })
    }

    /// Ends the WHIP session and the client.
    ///
    /// # Errors
    /// When the server does not agree.
    pub async fn stop(self, server: &TestServer) -> Result<()> {
        server.end(&self.location, &self.token).await?;
        Ok(self.peer.close().await?)
    }
}

impl Player {
    /// Plays `room`'s video.
    ///
    /// # Errors
    /// When the server refuses, or the connection does not come up.
    pub async fn start(server: &TestServer, room: &str, identity: &str) -> Result<Self> {
        Self::with_token(server, room, server.token(room, identity)?).await
    }

    /// As [`Self::start`], with a token from elsewhere.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn with_token(server: &TestServer, room: &str, token: String) -> Result<Self> {
        let (peer, mut events) = new_peer().await?;
        let packets = events.packets.take().context("packets")?;
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            ..Default::default()
        };
        peer.add_transceiver_from_kind(RtpCodecKind::Video, Some(init))
            .await?;
        let location = connect(server, &format!("/whep/{room}"), &token, &peer, events).await?;
        Ok(Self {
            peer,
            location,
            token,
            packets,
        })
    }

    /// The next packet, within 10 s.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next(&mut self) -> Result<rtp::Packet> {
        let next = tokio::time::timeout(Duration::from_secs(10), self.packets.recv());
        next.await
            .context("no packet came")?
            .context("the player ended")
    }

    /// Ends the WHEP session and the client.
    ///
    /// # Errors
    /// When the server does not agree.
    pub async fn stop(self, server: &TestServer) -> Result<()> {
        server.end(&self.location, &self.token).await?;
        Ok(self.peer.close().await?)
    }
}

/// What a peer connection tells.
struct Events {
    gathered: mpsc::UnboundedReceiver<()>,
    state: watch::Receiver<RTCPeerConnectionState>,
    packets: Option<mpsc::UnboundedReceiver<rtp::Packet>>,
}

struct Handler {
    gathered: mpsc::UnboundedSender<()>,
    state: watch::Sender<RTCPeerConnectionState>,
    packets: mpsc::UnboundedSender<rtp::Packet>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.send(());
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.state.send(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let packets = self.packets.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = packets.send(packet);
                }
            }
        });
    }
}

async fn new_peer() -> Result<(Arc<dyn PeerConnection>, Events)> {
    let (gathered_tx, gathered) = mpsc::unbounded_channel();
    let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
    let (packets_tx, packets) = mpsc::unbounded_channel();
    let handler = Handler {
        gathered: gathered_tx,
        state: state_tx,
        packets: packets_tx,
    };
    let mut media = MediaEngine::default();
    media.register_codec(
        RTCRtpCodecParameters {
            rtp_codec: vp8(),
            payload_type: 96,
        },
        RtpCodecKind::Video,
    )?;
    media.register_codec(
        RTCRtpCodecParameters {
            rtp_codec: opus(),
            payload_type: 111,
        },
        RtpCodecKind::Audio,
    )?;
    let interceptors = register_default_interceptors(Registry::new(), &mut media)?;
    // Checks twice a second, as a client does whose network may change.
    let settings = SettingEngineBuilder::new()
        .with_ice_timeouts(
            Some(Duration::from_secs(5)),
            Some(Duration::from_secs(25)),
            Some(Duration::from_millis(500)),
        )
        .with_include_loopback_candidate(true)
        .build();
    let peer = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(media)
        .with_setting_engine(settings)
        .with_interceptor_registry(interceptors)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
        .build()
        .await?;
    Ok((
        Arc::new(peer),
        Events {
            gathered,
            state,
            packets: Some(packets),
        },
    ))
}

/// Offers, applies the answer and waits until media can flow; the session's URL.
async fn connect(
    server: &TestServer,
    path: &str,
    token: &str,
    peer: &Arc<dyn PeerConnection>,
    mut events: Events,
) -> Result<String> {
    let offer = peer.create_offer(None).await?;
    peer.set_local_description(offer).await?;
    let _ = events.gathered.recv().await;
    let offer = peer
        .local_description()
        .await
        .context("no local description")?;
    let (answer, location) = server.offer(path, token, offer.sdp).await?;
    peer.set_remote_description(RTCSessionDescription::answer(answer)?)
        .await?;
    let up = events
        .state
        .wait_for(|&state| state == RTCPeerConnectionState::Connected);
    tokio::time::timeout(Duration::from_secs(15), up)
        .await
        .context("did not connect")??;
    Ok(location)
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: AUDIO_CLOCK_HZ,
        channels: 2,
        ..Default::default()
    }
}

fn vp8() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: VIDEO_CLOCK_HZ,
        ..Default::default()
    }
}
