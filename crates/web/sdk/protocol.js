/**
 * The signalling protocol's shapes: JSON text frames over a WebSocket, version 1.
 *
 * Types only, and the few numbers that both sides know.
 */

/** Version that `join` and `resume` name. */
export const PROTOCOL_VERSION = 1;

/** Most m-lines that the server takes in an offer. */
export const M_LINES_MAX = 64;

/** Largest application message in bytes. */
export const MESSAGE_BYTES_MAX = 65536;

/** How long the server keeps a session whose socket was cut, in milliseconds. */
export const RESUME_WINDOW_MS = 30_000;

/** @typedef {"microphone" | "camera" | "screen_share" | "screen_share_audio" | "other"} Source */
/** @typedef {"audio" | "video"} Kind */
/** Upper bound of a subscription: best (large), small, a layer (0 is the lowest), or the size in
 * pixels of the tile that is to be filled.
 * @typedef {"best" | "large" | "small" | 0 | 1 | 2 | { width: number, height: number }} Largest */

/** What keeps a picture from being better.
 * @typedef {"bandwidth" | "policy" | "publisher_paused" | "layer_missing" | "keyframe_wait" | "size" |
 *   "unsupported"} QualityReason */

/**
 * One of a track's encodings, and the highest layers of it; 3 and 7 stand for all that there are.
 *
 * @typedef {{ encoding: number, spatial: number, temporal: number }} LayerChoice
 */

/**
 * Why a picture is as it is.
 *
 * @typedef {object} Explanation
 * @property {string} track
 * @property {(LayerChoice & { rid: string | null, size: { width: number, height: number } | null,
 *   bitrateBps: number, flows: boolean, unwatched: boolean })[]} layers from the smallest to the best
 * @property {{ wanted: boolean, largest: Largest }} wish
 * @property {Record<string, unknown>} policy
 * @property {boolean} hasSlot
 * @property {LayerChoice | null} target
 * @property {LayerChoice | null} current
 * @property {number | null} estimateBps what our link is estimated to carry
 * @property {number} grantedBps
 * @property {number | null} nextBps what the next better layer needs
 * @property {{ track: string, bitrateBps: number }[]} neighbours
 * @property {QualityReason | null} reason null: nothing keeps it from being better
 * @property {string} sentence the same in English
 * @property {{ agoMs: number, from: LayerChoice | null, to: LayerChoice | null, cause: QualityReason | null }[]} switches
 */

/**
 * What of a track is shown.
 *
 * @typedef {{ encoding: number, spatial: number, size: { width: number, height: number } | null }} ShownQuality
 */

/**
 * @typedef {object} TrackInfo
 * @property {string} sid
 * @property {Kind} kind
 * @property {Source} source
 * @property {string} name
 * @property {boolean} muted
 * @property {string | null} codec null before the first packet
 * @property {boolean} simulcast
 * @property {string} mid m-line in its publisher's session
 * @property {number} width pixels, 0 when unknown
 * @property {number} height pixels, 0 when unknown
 */

/**
 * @typedef {object} Permissions
 * @property {boolean} canPublish
 * @property {Source[]} canPublishSources empty: all
 * @property {boolean} canSubscribe
 * @property {boolean} canPublishData
 * @property {boolean} canUpdateOwnMetadata
 * @property {boolean} hidden
 */

/** @typedef {"joining" | "active" | "interrupted"} ParticipantState */

/**
 * @typedef {object} ParticipantInfo
 * @property {string} identity
 * @property {string} sid
 * @property {string} name
 * @property {string} metadata
 * @property {Record<string, string>} attributes
 * @property {Permissions} permissions
 * @property {ParticipantState} state
 * @property {string} joinedAt ISO 8601
 * @property {TrackInfo[]} tracks
 */

/**
 * What carries a slot.
 *
 * @typedef {object} SlotInfo
 * @property {string} mid
 * @property {Kind} kind
 * @property {{ track: string, identity: string } | null} feed
 */

/**
 * @typedef {object} RoomInfo
 * @property {string} name
 * @property {string} sid
 * @property {string} metadata
 * @property {number} topAudio how many of the loudest are forwarded; 0: all
 * @property {number} maxParticipants 0: no limit
 * @property {number} numParticipants
 * @property {string} createdAt ISO 8601
 */

/**
 * What a sending m-line carries.
 *
 * @typedef {object} TrackDescription
 * @property {string} mid
 * @property {Source} source
 * @property {string} name
 * @property {boolean} muted
 * @property {number} width
 * @property {number} height
 */

/** @typedef {{ sdp: string, tracks: TrackDescription[] }} Offer */
/** @typedef {{ sdp: string, tracks: TrackInfo[], slots: SlotInfo[] }} Answer */

/**
 * @typedef {object} JoinReply
 * @property {string} session token for `resume`
 * @property {ParticipantInfo} participant
 * @property {RoomInfo} room
 * @property {ParticipantInfo[]} participants the others
 * @property {Answer} [answer]
 */

/**
 * Messages of the server that answer no request. `seq` counts from 1 in each session.
 *
 * @typedef {{ seq: number } & (
 *     { type: "connected" }
 *   | { type: "interrupted", interrupted: boolean }
 *   | { type: "participantJoined", participant: ParticipantInfo }
 *   | { type: "participantUpdated", participant: ParticipantInfo }
 *   | { type: "participantLeft", identity: string, reason: string }
 *   | { type: "trackPublished", identity: string, track: TrackInfo }
 *   | { type: "trackUpdated", identity: string, track: TrackInfo }
 *   | { type: "trackUnpublished", identity: string, trackSid: string }
 *   | { type: "trackMuted", track: string, muted: boolean }
 *   | { type: "slots", slots: SlotInfo[] }
 *   | { type: "subscriptionChanged", track: string, publisher: string, quality: ShownQuality | null, reason: QualityReason | null }
 *   | { type: "encodingsWanted", track: string, encodings: { rid: string | null, wanted: boolean }[] }
 *   | { type: "activeSpeakers", speakers: { identity: string, level: number }[] }
 *   | { type: "roomUpdated", room: RoomInfo }
 *   | { type: "moved", room: RoomInfo, participants: ParticipantInfo[] }
 *   | { type: "message", from: string | null, topic: string, text?: string, data?: string, reliable: boolean }
 *   | { type: "report", report: import("./reports.js").StateReport }
 *   | { type: "draining" }
 *   | { type: "left", reason: string }
 * )} ServerEvent
 */

/**
 * @typedef {{ type: "reply", id: number, seq?: number,
 *   error?: { type: string, title?: string, status?: number } } & Record<string, any>} Reply
 */
