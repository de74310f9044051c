/**
 * What a device may ask of the call machine, in the machine's own words: one method each.
 *
 * A method without `call` means the call that this device is in. Each rejects with a
 * `CrosspointError` whose `type` is the server's error word (`state`, `forbidden`, `busy`, ...) and
 * then has changed nothing.
 *
 * ```text
 * -> {"type": "hold", "id": 3, "call": "current"}
 * <- {"type": "reply", "id": 3, "data": {"type": "none"}}
 * <- {"type": "reply", "id": 3, "error": {"type": "state", "title": "..."}}
 * ```
 */

import { Emitter } from "../emitter.js";

/** @import { CallMessage, CallState, CallView, Group, MonitorState, Person, Seat, SeatState, TrackKind } from "./types.js" */
/** @import { MediaGrant } from "./media.js" */

/** @typedef {{ type: string } & Record<string, any>} Data what success brings */

/** @typedef {{ call: CallView, grant: MediaGrant | null }} Joined */

/**
 * @typedef {object} OwnState
 * @property {SeatState | null} seat
 * @property {string | null} call
 * @property {CallState | null} callState
 * @property {MonitorState} monitor
 * @property {string | null} monitored the call that is listened to
 */

/** @typedef {{ agents: Seat[], total: number }} SeatPage */

/**
 * @template {Record<string, any>} Events
 * @extends {Emitter<Events>}
 */
export class CallVerbs extends Emitter {
  /**
   * Sends a command and waits for its one result.
   *
   * @param {string} _type
   * @param {Record<string, unknown>} [_fields]
   * @returns {Promise<Data>}
   */
  ask(_type, _fields) {
    return Promise.reject(new Error("not connected"));
  }

  // Oneself, and what there is.

  /** Own connection, seat, call and supervision. @returns {Promise<OwnState>} */
  async ownState() {
    return /** @type {any} */ (await this.ask("queryState", { scope: "own" }));
  }

  /** A call that one is in, is rung by, or may supervise. @param {string} [call] @returns {Promise<Joined>} */
  async queryCall(call) {
    return /** @type {any} */ (await this.ask("queryState", { scope: { call: ref(call) } }));
  }

  /** Live calls of the own skill groups; for supervisors. @returns {Promise<CallView[]>} */
  async queryCalls() {
    return (await this.ask("queryState", { scope: "calls" })).calls;
  }

  /** Profiles. @param {string[]} users @returns {Promise<Person[]>} */
  async queryUsers(users) {
    return (await this.ask("queryState", { scope: { users } })).users;
  }

  /** How others see this user; what is left out stays. @param {{ name?: string, portraitUri?: string, extra?: string }} profile */
  setProfile(profile) {
    return this.ask("setProfile", profile);
  }

  /** The own seat takes calls, rests, or takes none after this one. @param {"ready" | "rest" | "busy"} wish */
  setSeat(wish) {
    return this.ask("setSeat", { wish });
  }

  /** Skill groups. @returns {Promise<Group[]>} */
  async listGroups() {
    return (await this.ask("listGroups")).groups;
  }

  /** Seats of a skill group, by pages from 0. @param {string} skillGroup @param {{ page?: number, size?: number }} [range] @returns {Promise<SeatPage>} */
  async listAgents(skillGroup, { page = 0, size = 0 } = {}) {
    return /** @type {any} */ (await this.ask("listAgents", { skillGroup, page, size }));
  }

  // A call's beginning and end.

  /** Withdraws own invitations; without callees: all of them. @param {{ call?: string, callees?: string[] }} [which] */
  cancelInvite({ call, callees = [] } = {}) {
    return this.ask("cancelInvite", { call: ref(call), callees });
  }

  /** Rings more people; group calls and meetings. @param {string[]} callees @param {{ call?: string, extra?: string }} [options] */
  invite(callees, { call, extra = "" } = {}) {
    return this.ask("invite", { call: ref(call), callees, extra });
  }

  /** Says that this device rings. @param {string} [invite] */
  ringing(invite) {
    return this.ask("ringing", { invite: inviteRef(invite) });
  }

  /** Refuses. @param {string} [invite] */
  reject(invite) {
    return this.ask("reject", { invite: inviteRef(invite) });
  }

  /** Leaves; the call goes on without. @param {string} [call] */
  leaveRoom(call) {
    return this.ask("leaveRoom", { call: ref(call) });
  }

  /** Cancels, refuses or hangs up, as the state is. @param {string} [call] */
  hangUp(call) {
    return this.ask("hangUp", { call: ref(call) });
  }

  /** Ends for all; for the caller or a host. @param {string} [call] */
  endCall(call) {
    return this.ask("endCall", { call: ref(call) });
  }

  /** Takes somebody out; for the caller or a host. @param {string} user @param {string} [call] */
  kickUser(user, call) {
    return this.ask("kickUser", { call: ref(call), user });
  }

  // Within a call.

  /** Puts the other side on hold. @param {string} [call] */
  hold(call) {
    return this.ask("hold", { call: ref(call) });
  }

  /** Takes it back. @param {string} [call] */
  unhold(call) {
    return this.ask("unhold", { call: ref(call) });
  }

  /** Presses a key. @param {string} digit one of `0-9*#A-D` @param {string} [call] */
  dtmf(digit, call) {
    return this.ask("dtmf", { call: ref(call), digit });
  }

  /** From video to audio, for all, for good. @param {string} [call] */
  downgrade(call) {
    return this.ask("downgrade", { call: ref(call) });
  }

  /** Tells that own tracks of a kind were muted or unmuted. @param {TrackKind} kind @param {boolean} muted @param {string} [call] */
  mute(kind, muted, call) {
    return this.ask("mute", { call: ref(call), kind, muted });
  }

  /** Claims the call's one shared screen, pauses or gives it back. @param {"start" | "stop" | "pause" | "resume"} action @param {{ call?: string, tip?: string }} [options] */
  screenShare(action, { call, tip = "" } = {}) {
    return this.ask("screenShare", { call: ref(call), action, tip });
  }

  /** Whose picture a snapshot would show. @param {"pusher" | "player"} source @param {string} [call] @returns {Promise<string>} user */
  async snapshotOf(source, call) {
    return (await this.ask("snapshot", { call: ref(call), source })).user;
  }

  /** Text to a member, or to everyone. @param {string} content @param {{ to?: string, contentType?: string, call?: string }} [options] @returns {Promise<CallMessage>} */
  async sendMessage(content, { to, contentType = "text/plain", call } = {}) {
    const data = await this.ask("sendMessage", { call: ref(call), to, contentType, content });
    return data.message;
  }

  /** Own media failed: ends the own part in the call. @param {string} error an error word @param {string} detail @param {string} [call] */
  reportFault(error, detail, call) {
    return this.ask("reportFault", { call: ref(call), error, detail });
  }

  /** Starts recording. @param {{ call?: string, mode?: "each" | "mixed" }} [options] @returns {Promise<string>} the recording's id */
  async recStart({ call, mode = "mixed" } = {}) {
    return (await this.ask("recStart", { call: ref(call), mode })).recording;
  }

  /** Stops it. @param {string} [call] */
  recStop(call) {
    return this.ask("recStop", { call: ref(call) });
  }

  /** Lets people of another call be seen and heard here, and the other way round. @param {string} peer call @param {string} [call] @returns {Promise<string>} the link's id */
  async linkRoom(peer, call) {
    return (await this.ask("linkRoom", { call: ref(call), peer: ref(peer) })).link;
  }

  /** Takes that back. @param {string} link */
  unlinkRoom(link) {
    return this.ask("unlinkRoom", { link });
  }

  // Transfer and third party.

  /** Asks a colleague to take over. @param {string} target user @param {string} [call] */
  transferAsk(target, call) {
    return this.ask("transferAsk", { call: ref(call), target });
  }

  /** Hands over by ringing another seat. @param {string} target user or extension @param {{ skillGroup?: string, call?: string }} [options] */
  transferBlind(target, { skillGroup, call } = {}) {
    return this.ask("transferBlind", { call: ref(call), target, skillGroup });
  }

  /** Withdraws a transfer. @param {string} [call] */
  transferCancel(call) {
    return this.ask("transferCancel", { call: ref(call) });
  }

  /** Refuses to take over. @param {string} call */
  transferReject(call) {
    return this.ask("transferReject", { call: ref(call) });
  }

  /** Asks a colleague to join. @param {string} target user @param {string} [call] */
  thirdAsk(target, call) {
    return this.ask("thirdAsk", { call: ref(call), target });
  }

  /** Withdraws that. @param {string} [call] */
  thirdCancel(call) {
    return this.ask("thirdCancel", { call: ref(call) });
  }

  /** Refuses to join. @param {string} call */
  thirdReject(call) {
    return this.ask("thirdReject", { call: ref(call) });
  }

  /** Takes the third party out. @param {string} [call] */
  thirdRemove(call) {
    return this.ask("thirdRemove", { call: ref(call) });
  }

  /** The third party leaves. @param {string} [call] */
  thirdQuit(call) {
    return this.ask("thirdQuit", { call: ref(call) });
  }

  // Supervision: a supervisor names the call.

  /** Stops listening or whispering. @param {string} call */
  monStop(call) {
    return this.ask("monStop", { call: ref(call) });
  }

  /** Leaves a conversation that was barged into; the call goes on. @param {string} call */
  monExitBarge(call) {
    return this.ask("monExitBarge", { call: ref(call) });
  }

  /** Ends the call that is listened to. @param {string} call */
  monEndCall(call) {
    return this.ask("monEndCall", { call: ref(call) });
  }

  /** Ends a call without listening. @param {string} call */
  forceEnd(call) {
    return this.ask("forceEnd", { call: ref(call) });
  }
}

/**
 * How a command names a call.
 *
 * @param {string} [call] id; left out: the one that this device is in
 */
export function ref(call) {
  return call === undefined ? "current" : { id: call };
}

/** @param {string} [invite] id; left out: the newest */
export function inviteRef(invite) {
  return invite === undefined ? "newest" : { id: invite };
}
