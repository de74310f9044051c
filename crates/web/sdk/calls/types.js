/**
 * What calls are made of, as the server says it (its vocabulary, in JSON). Types only.
 */

/** @import { MediaGrant } from "./media.js" */

/** @typedef {"audio" | "video"} CallMediaType what a call carries */
/** @typedef {"audio" | "video" | "screen"} TrackKind */
/** @typedef {"creating" | "ringing" | "connecting" | "active" | "ended"} CallState */
/** @typedef {"joining" | "joined" | "reconnecting" | "left"} ParticipantState */
/** @typedef {"offline" | "idle" | "busy" | "ringing" | "talking" | "held"} SeatState */
/** @typedef {"none" | "starting" | "listening" | "whispering" | "barged"} MonitorState */
/** @typedef {"requested" | "completing" | "completed" | "rejected" | "canceled" | "timedOut" | "failed"} TransferState */
/** @typedef {"requested" | "joined" | "rejected" | "canceled" | "timedOut" | "removed" | "quit" | "failed"} ThirdState */
/** @typedef {"idle" | "starting" | "running" | "finalizing" | "ready" | "aborted"} RecordingState */
/** @typedef {"caller" | "member" | "guest" | "agentMain" | "agentThird" | "supervisor" | "host" | "audience"} CallRole */

/**
 * @typedef {object} Person
 * @property {string} user id
 * @property {string} name may be empty
 * @property {string} portraitUri may be empty
 * @property {string} extra may be empty
 * @property {string} extension directory number; may be empty
 */

/**
 * Whom a call goes to.
 *
 * @typedef {{ type: "user", user: string } | { type: "group", group: string } | { type: "queue", group: string }
 *   | { type: "number", number: string, shown?: string } | { type: "room", serial: string }} Target
 */

/**
 * @typedef {object} CallParticipant
 * @property {Person} person
 * @property {CallRole} role
 * @property {ParticipantState} state
 * @property {boolean} audio whether a microphone is on
 * @property {boolean} video
 * @property {boolean} screen
 * @property {boolean} held
 */

/**
 * @typedef {object} CallProps
 * @property {{ owner: string, paused: boolean, tip: string } | null} screenShare
 * @property {RecordingState | null} recording
 */

/**
 * A call as its members and supervisors see it. Times are milliseconds since the Unix epoch; 0: never.
 *
 * @typedef {object} CallView
 * @property {string} id
 * @property {"private" | "group" | "meeting" | "pstn" | "queue"} kind
 * @property {Target} target
 * @property {CallMediaType} media
 * @property {string} extra
 * @property {Person} initiator
 * @property {CallState} state
 * @property {CallParticipant[]} participants without those who are hidden
 * @property {{ id: string, call: string, inviter: Person, callee: Person, state: string }[]} invites
 * @property {number} createdMs
 * @property {number} beginMs when media of two people was up first
 * @property {number} endMs
 * @property {string | null} reason
 * @property {CallProps} props
 */

/**
 * @typedef {object} Seat an agent's
 * @property {Person} person
 * @property {SeatState} state
 * @property {string | null} group
 */

/** @typedef {{ id: string, name: string, kind: "group" | "skill", members: string[] }} Group */

/**
 * @typedef {object} CallMessage
 * @property {string} id
 * @property {string} from user
 * @property {"oneToOne" | "group"} scope
 * @property {string} contentType
 * @property {string} content
 * @property {number} atMs
 */

/** @typedef {{ user: string, device?: string, role: CallRole }} Actor who did something */

/**
 * What the server tells. A word is the `type` of its frame; `call` is the id of the call.
 *
 * @typedef {object} ServerCallEvents
 * @property {{ user: Person, device: string, seat: SeatState | null }} connected
 * @property {{ error: string }} kicked turned out; the connection closes
 * @property {{ error: string, detail: string }} error something failed that nobody asked for just now
 * @property {{ agent: string, old: SeatState, new: SeatState }} seatChanged
 * @property {{ invite: string, call: string, kind: string, target: Target, media: CallMediaType, extra: string, caller: Person, members: Person[], ringMs: number }} inviteReceived
 * @property {{ invite: string, call: string, user: Person }} inviteRinging
 * @property {{ invite: string, call: string, user: Person, media: CallMediaType }} inviteAccepted
 * @property {{ invite: string, call: string, user: Person, reason: string }} inviteRejected
 * @property {{ invite: string, call: string, user: Person, reason: string }} inviteCanceled
 * @property {{ invite: string, call: string, user: Person }} inviteTimeout
 * @property {{ call: string, by: Person, users: Person[] }} inviteeAdded
 * @property {{ invite: string, call: string, device: string, accepted: boolean }} answeredElsewhere
 * @property {{ records: object[] }} offlineInvites
 * @property {{ call: string, stage: "accepted" | "routing" | "alerting" | "connected" | "failed", error: string | null, shown: string, position: number | null }} callProgress
 * @property {{ call: CallView, state: CallState, grant: MediaGrant | null }} callRecovered
 * @property {{ call: string, reason: string, actor: Actor | null, answered: boolean, durationMs: number }} callEnded
 * @property {{ call: string, caller: Person, group: string | null, beginMs: number, endMs: number }} callNotice
 * @property {{ call: string, grant: MediaGrant }} mediaReady
 * @property {{ call: string, participant: CallParticipant }} participantJoined
 * @property {{ call: string, participant: CallParticipant, reason: string, actor: Actor | null }} participantLeft
 * @property {{ call: string, participant: CallParticipant, changed: string[] }} participantUpdated
 * @property {{ call: string, changed: string[], props: CallProps }} roomPropChanged
 * @property {{ call: string, by: Person, media: CallMediaType }} mediaModeChanged
 * @property {{ call: string, user: string, kind: TrackKind }} trackReady
 * @property {{ call: string, user: string, kind: TrackKind, muted: boolean }} muteChanged
 * @property {{ call: string, error: string, detail: string }} deviceFault
 * @property {{ call: string, user: string, digit: string }} dtmfReceived
 * @property {{ call: string, message: CallMessage }} message
 * @property {{ call: string, source: string, user: string, url: string | null }} snapshotReady
 * @property {{ call: string, state: TransferState, blind: boolean, by: Person, target: Person, grant: MediaGrant | null }} transferUpdate
 * @property {{ call: string, state: ThirdState, by: Person, target: Person, grant: MediaGrant | null }} thirdUpdate
 * @property {{ call: string, state: MonitorState, grant: MediaGrant | null }} monitorUpdate to the supervisor alone
 * @property {{ call: string, recording: { id: string, mode: "each" | "mixed" | "call", state: RecordingState } }} recStateChanged
 * @property {{ call: string, recording: string, url: string, startMs: number, endMs: number, bytes: number }} recReady
 * @property {{ call: string, recording: string, user: string | null, detail: string, endsCall: boolean }} recAborted
 * @property {{ call: string, user: string, kind: TrackKind, verdict: string }} moderationResult
 */

export {};
