/**
 * What Desk knows, and how each event changes it. Pure: events and time in, the next state out.
 */

/** @import { CallParticipant, CallView, MonitorState, Person, Seat, SeatState, Target, ThirdState, TransferState } from "../../sdk/calls/types.js" */

/** @typedef {"customer" | "agent" | "supervisor"} DeskRole */

/**
 * @typedef {object} Ring somebody rings here
 * @property {string} invite
 * @property {string} call
 * @property {Person} caller
 * @property {Target} target
 * @property {"audio" | "video"} media
 * @property {number} untilMs
 */

/** @typedef {{ kind: "transfer" | "third", call: string, by: Person }} Ask a colleague asks for help */

/**
 * @typedef {object} Line of the conversation
 * @property {string} key
 * @property {"text" | "picture" | "recording"} kind
 * @property {string} from user
 * @property {string} content text, or the address of a picture or recording
 * @property {number} atMs
 * @property {boolean} own
 */

/**
 * @typedef {object} DeskState
 * @property {"offline" | "online" | "interrupted"} link
 * @property {string} me user
 * @property {DeskRole} role
 * @property {SeatState | null} seat the own
 * @property {Ring[]} rings
 * @property {Ask[]} asks
 * @property {CallView | null} call that this device is in
 * @property {{ stage: string, position: number | null } | null} progress of a call that was made here
 * @property {{ state: TransferState, blind: boolean, target: Person } | null} transfer
 * @property {{ state: ThirdState, by: Person, target: Person } | null} third
 * @property {{ call: string, state: MonitorState } | null} monitor
 * @property {Line[]} lines
 * @property {string} digits pressed by others
 * @property {{ reason: string, own: boolean, by: string, answered: boolean, durationMs: number } | null} ended the last call
 * @property {CallView[]} wall live calls of a supervisor's groups
 * @property {Seat[]} seats of the own groups
 */

/** Most lines that are kept of a conversation. */
const LINES_MAX = 500;
/** Most digits that are shown. */
const DIGITS_MAX = 32;

/** @param {DeskRole} role @returns {DeskState} */
export function newState(role) {
  return {
    link: "offline", me: "", role, seat: null, rings: [], asks: [], call: null, progress: null, transfer: null,
    third: null, monitor: null, lines: [], digits: "", ended: null, wall: [], seats: [],
  };
}

/**
 * Beside the server's events (`sdk/calls/types.js`) these happen here: `entered` and `viewed` with a
 * view of the own call, `mediaUp`, `mediaClosed`, `interrupted`, `resumed`, `lost`, `line`, `looked`.
 *
 * @param {DeskState} state
 * @param {{ type: string } & Record<string, any>} event
 * @param {number} now milliseconds since the Unix epoch
 * @returns {DeskState}
 */
export function reduce(state, event, now) {
  switch (event.type) {
    case "connected":
      return { ...state, link: "online", me: event.user.user };
    case "interrupted":
      return { ...state, link: "interrupted" };
    case "resumed":
      return { ...state, link: "online" };
    case "lost":
    case "kicked":
      return { ...newState(state.role), me: state.me };
    case "seatChanged":
      return seatChanged(state, event.agent, event.new);
    case "looked":
      return { ...state, wall: event.wall ?? state.wall, seats: event.seats ?? state.seats, seat: ownSeat(state, event.seats) };

    case "inviteReceived": {
      const { invite, call, caller, target, media, ringMs } = event;
      const ring = { invite, call, caller, target, media, untilMs: now + ringMs };
      return { ...state, rings: [...state.rings.filter((each) => each.invite !== invite), ring] };
    }
    case "inviteCanceled":
    case "inviteTimeout":
    case "inviteRejected":
    case "answeredElsewhere":
      return { ...state, rings: state.rings.filter((each) => each.invite !== event.invite) };
    case "inviteRinging":
      return state.call?.id === event.call ? { ...state, progress: { stage: "alerting", position: null } } : state;

    case "entered":
      return entered(state, event.call);
    case "callRecovered":
      return entered(state, event.call);
    case "viewed":
      return state.call?.id === event.call.id ? withCall(state, event.call, now) : state;
    case "callProgress": {
      const progress = { stage: event.stage, position: event.position ?? null };
      return state.call?.id === event.call || !state.call ? { ...state, progress } : state;
    }
    case "callEnded":
      return ended(state, event);

    case "mediaUp":
      return inCall(state, event, (call) => markJoined(call, state.me), now);
    case "participantJoined":
    case "participantUpdated":
      return inCall(state, event, (call) => withParticipant(call, event.participant), now);
    case "participantLeft":
      return inCall(state, event, (call) => without(call, event.participant.person.user), now);
    case "muteChanged":
      return inCall(state, event, (call) => muted(call, event.user, event.kind, event.muted), now);
    case "roomPropChanged":
      return inCall(state, event, (call) => ({ ...call, props: event.props }), now);
    case "recStateChanged":
      return inCall(state, event, (call) => ({ ...call, props: { ...call.props, recording: event.recording.state } }), now);
    case "mediaModeChanged":
      return inCall(state, event, (call) => ({ ...call, media: event.media }), now);

    case "dtmfReceived":
      return state.call?.id === event.call ? { ...state, digits: (state.digits + event.digit).slice(-DIGITS_MAX) } : state;
    case "message": {
      const { id, from, content, atMs } = event.message;
      return line(state, { key: id, kind: "text", from, content, atMs, own: from === state.me });
    }
    case "line":
      return line(state, { atMs: now, ...event.line });
    case "recReady":
      return line(state, { key: event.recording, kind: "recording", from: "", content: event.url, atMs: now, own: false });

    case "transferUpdate":
      return transferUpdate(state, event);
    case "thirdUpdate":
      return thirdUpdate(state, event);
    case "monitorUpdate":
      return { ...state, monitor: event.state === "none" ? null : { call: event.call, state: event.state } };
    default:
      return state;
  }
}

/**
 * Whom a call is about, seen from here: the customer, else the first of the others.
 *
 * @param {CallView} call
 * @param {string} me
 */
export function otherSide(call, me) {
  const others = call.participants.filter((each) => each.person.user !== me);
  return others.find((each) => each.role === "guest") ?? others[0];
}

/** Who serves a customer. @param {CallView} call */
export function agentOf(call) {
  const leads = call.participants.find((each) => each.role === "agentMain");
  return leads ?? call.participants.find((each) => !["guest", "supervisor", "agentThird"].includes(each.role) && each.person.user !== call.initiator.user);
}

/**
 * What can be done in the own call now.
 *
 * @param {DeskState} state
 */
export function abilities({ call, me, role, transfer, third }) {
  const own = call?.participants.find((each) => each.person.user === me);
  const active = call?.state === "active";
  const leads = active && own !== undefined && !["guest", "agentThird", "audience"].includes(own.role) && role === "agent";
  const held = call?.participants.some((each) => each.held) ?? false;
  const pendingTransfer = transfer?.state === "requested";
  const completing = transfer?.state === "completing";
  const askedThird = third?.state === "requested" && third.by.user === me;
  const hasThird = third?.state === "joined";
  const free = leads && !pendingTransfer && !completing && !askedThird && !hasThird;
  const recording = call?.props.recording ?? null;
  const running = recording === "starting" || recording === "running";
  return {
    hold: leads && !held,
    unhold: leads && held,
    transfer: free,
    third: free,
    cancelTransfer: leads && pendingTransfer,
    cancelThird: leads && askedThird,
    removeThird: leads && hasThird && third.by.user === me,
    quitThird: active && own?.role === "agentThird",
    keypad: active,
    snapshot: leads && call?.media === "video",
    record: leads && !running && recording !== "finalizing",
    stopRecording: leads && running,
    recording: running,
    screen: active && (call.props.screenShare === null || call.props.screenShare.owner === me),
    sharing: call?.props.screenShare?.owner === me,
    leave: call !== null && own?.role !== "agentThird",
  };
}

/** @param {DeskState} state @param {CallView} call @returns {DeskState} */
function entered(state, call) {
  const same = state.call?.id === call.id;
  return {
    ...state,
    call,
    rings: state.rings.filter((each) => each.call !== call.id),
    asks: state.asks.filter((each) => each.call !== call.id),
    ended: null,
    lines: same ? state.lines : [],
    digits: same ? state.digits : "",
    transfer: same ? state.transfer : null,
    third: same ? state.third : asThird(state, call),
  };
}

/** Who enters as third party knows itself to be one. @param {DeskState} state @param {CallView} call */
function asThird(state, call) {
  const ask = state.asks.find((each) => each.call === call.id && each.kind === "third");
  const own = call.participants.find((each) => each.person.user === state.me);
  return ask && own ? { state: /** @type {ThirdState} */ ("joined"), by: ask.by, target: own.person } : null;
}

/** @param {DeskState} state @param {Record<string, any>} event @returns {DeskState} */
function ended(state, { call, reason, actor, answered, durationMs }) {
  const rest = {
    ...state,
    rings: state.rings.filter((each) => each.call !== call),
    asks: state.asks.filter((each) => each.call !== call),
    wall: state.wall.filter((each) => each.id !== call),
    monitor: state.monitor?.call === call ? null : state.monitor,
  };
  if (state.call?.id !== call) return rest;
  const own = actor?.user === state.me;
  return {
    ...rest,
    call: null,
    progress: null,
    transfer: null,
    third: null,
    ended: { reason, own, by: actor?.user ?? "", answered, durationMs },
  };
}

/** @param {DeskState} state @param {string} agent @param {SeatState} seat @returns {DeskState} */
function seatChanged(state, agent, seat) {
  const seats = state.seats.map((each) => (each.person.user === agent ? { ...each, state: seat } : each));
  return { ...state, seats, seat: agent === state.me ? seat : state.seat };
}

/** @param {DeskState} state @param {Seat[]} [seats] */
function ownSeat(state, seats) {
  return seats?.find((each) => each.person.user === state.me)?.state ?? state.seat;
}

/** @param {DeskState} state @param {Record<string, any>} event @returns {DeskState} */
function transferUpdate(state, { call, state: now, blind, by, target }) {
  const asks = state.asks.filter((each) => each.call !== call || each.kind !== "transfer");
  // The target of a blind transfer is rung instead.
  if (target.user === state.me && now === "requested" && !blind) asks.push({ kind: "transfer", call, by });
  const concerns = state.call?.id === call;
  return { ...state, asks, transfer: concerns ? { state: now, blind, target } : state.transfer };
}

/** @param {DeskState} state @param {Record<string, any>} event @returns {DeskState} */
function thirdUpdate(state, { call, state: now, by, target }) {
  const asks = state.asks.filter((each) => each.call !== call || each.kind !== "third");
  if (target.user === state.me && now === "requested") asks.push({ kind: "third", call, by });
  const concerns = state.call?.id === call;
  return { ...state, asks, third: concerns ? { state: now, by, target } : state.third };
}

/** @param {DeskState} state @param {Line} added @returns {DeskState} */
function line(state, added) {
  const known = state.lines.some((each) => each.key === added.key);
  return known ? state : { ...state, lines: [...state.lines, added].slice(-LINES_MAX) };
}

/**
 * @param {DeskState} state
 * @param {Record<string, any>} event
 * @param {(call: CallView) => CallView} change
 * @param {number} now
 * @returns {DeskState}
 */
function inCall(state, event, change, now) {
  const { call } = state;
  return call?.id === event.call && call ? withCall(state, change(call), now) : state;
}

/** @param {DeskState} state @param {CallView} call @param {number} now @returns {DeskState} */
function withCall(state, call, now) {
  const joined = call.participants.filter((each) => each.state === "joined").length;
  if (call.state === "active" || joined < 2) return { ...state, call };
  return { ...state, call: { ...call, state: "active", beginMs: call.beginMs || now } };
}

/** @param {CallView} call @param {string} user @returns {CallView} */
function markJoined(call, user) {
  const participants = call.participants.map((each) => (each.person.user === user ? { ...each, state: /** @type {const} */ ("joined") } : each));
  return { ...call, participants };
}

/** @param {CallView} call @param {CallParticipant} participant @returns {CallView} */
function withParticipant(call, participant) {
  const user = participant.person.user;
  const at = call.participants.findIndex((each) => each.person.user === user);
  const participants = at < 0 ? [...call.participants, participant] : call.participants.with(at, participant);
  return { ...call, participants };
}

/** @param {CallView} call @param {string} user @returns {CallView} */
function without(call, user) {
  return { ...call, participants: call.participants.filter((each) => each.person.user !== user) };
}

/** @param {CallView} call @param {string} user @param {string} kind @param {boolean} off @returns {CallView} */
function muted(call, user, kind, off) {
  const participants = call.participants.map((each) => (each.person.user === user ? { ...each, [kind]: !off } : each));
  return { ...call, participants };
}
