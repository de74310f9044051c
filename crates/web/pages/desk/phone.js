/**
 * A user's connection to the call machine, and what Desk knows by it. Views read `state` and are told
 * when it changes; what they ask for goes through here, and so do failures.
 */

import { Calls } from "../../sdk/calls.js";
import { announce, hideNotice, showNotice } from "../common/notices.js";
import { deviceProblem } from "../common/device-problems.js";
import { t } from "./i18n.js";
import { newState, reduce } from "./state.js";
import { problem } from "./words.js";

/** @import { TokenSource } from "../../sdk/signal.js" */
/** @import { Room } from "../../sdk/crosspoint.js" */
/** @import { Group } from "../../sdk/calls/types.js" */
/** @import { DeskRole, DeskState } from "./state.js" */

/** Between two looks at seats and at the wall, in milliseconds; events hasten it. */
const LOOK_MS = 2_000;

/**
 * @typedef {object} Who
 * @property {DeskRole} role
 * @property {string} url of the server
 * @property {TokenSource} [token]
 * @property {{ tenant: string, user: string, password: string }} [account] in place of a token
 */

export class Phone {
  /** @readonly */
  calls;
  /** @type {DeskState} */
  state;
  /** Skill groups of the tenant. @type {Group[]} */
  groups = [];
  #who;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #look;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #view;
  #closed = false;

  /**
   * @param {Who} who
   * @param {() => void} onLost the server has given this device up
   */
  constructor(who, onLost) {
    this.#who = who;
    this.state = newState(who.role);
    this.calls = new Calls({ url: who.url, token: who.token });
    this.calls.on("event", (event) => this.#onEvent(event));
    this.calls.on("interrupted", () => {
      showNotice("link", { kind: "warn", text: t("linkInterrupted"), sticky: true });
      this.#apply({ type: "interrupted" });
    });
    this.calls.on("resumed", () => {
      hideNotice("link");
      this.#apply({ type: "resumed" });
      this.#lookSoon();
    });
    this.calls.on("lost", (error) => {
      hideNotice("link");
      showNotice("lost", { kind: "error", text: problem(error) });
      this.#apply({ type: "lost" });
      if (!this.#closed) onLost();
    });
    this.calls.on("kicked", ({ error }) => {
      showNotice("lost", { kind: "error", text: t("kicked", { why: error }) });
      if (!this.#closed) onLost();
    });
    this.calls.on("mediaUp", ({ call }) => this.#apply({ type: "mediaUp", call }));
    this.calls.on("mediaOpened", () => this.#tell());
    this.calls.on("mediaClosed", () => this.#tell());
    this.calls.on("deviceProblem", ({ device, error }) =>
      showNotice(device, { kind: "warn", text: t(deviceProblem(device, error.type)) }));
  }

  /** Comes online. */
  async login() {
    const { role, account } = this.#who;
    // A supervisor with a seat would be rung like an agent.
    await this.calls.login({ seat: role === "agent", account });
    this.groups = await this.calls.listGroups();
    if (role !== "customer") void this.#lookAround();
  }

  /** Goes offline. */
  close() {
    this.#closed = true;
    clearTimeout(this.#look);
    clearTimeout(this.#view);
    this.calls.logout();
  }

  /** Calls `listener` at each change of `state`. @param {() => void} listener */
  onChange(listener) {
    this.#listeners.add(listener);
  }

  /** The media room of the call that this device is in, or listens to. @returns {Room | null} */
  get room() {
    const call = this.state.call?.id ?? this.state.monitor?.call;
    return (call && this.calls.mediaOf(call)?.room) || null;
  }

  /**
   * Does what a user asked for; a failure is shown.
   *
   * @param {() => Promise<unknown>} action
   */
  async run(action) {
    try {
      await action();
      hideNotice("failure");
    } catch (error) {
      showNotice("failure", { kind: "warn", text: problem(error), forMs: 8_000 });
    }
  }

  /**
   * Enters the call that an action makes, answers or takes over.
   *
   * @param {() => Promise<import("../../sdk/calls/types.js").CallView>} action
   */
  enter(action) {
    return this.run(async () => this.#apply({ type: "entered", call: await action() }));
  }

  /** @param {string} text */
  say(text) {
    return this.run(async () => {
      const call = this.state.call?.id ?? this.state.monitor?.call;
      const message = await this.calls.sendMessage(text, { call });
      this.#apply({ type: "message", call, message });
    });
  }

  /** Keeps a picture of the customer beside the conversation. */
  takePicture() {
    return this.run(async () => {
      const call = this.state.call?.id;
      if (!call) return;
      const { user, dataUrl } = await this.calls.snapshot(call, "player");
      this.#apply({ type: "line", line: { key: `picture-${Date.now()}`, kind: "picture", from: user, content: dataUrl, own: true } });
      announce(t("pictureTaken"));
    });
  }

  /** @param {{ type: string } & Record<string, any>} event */
  #onEvent(event) {
    this.#apply(event);
    if (["seatChanged", "callNotice", "callEnded"].includes(event.type)) this.#lookSoon();
    const own = this.state.call?.id;
    if (own && event.call === own && ["transferUpdate", "thirdUpdate", "participantLeft", "callProgress"].includes(event.type)) this.#viewSoon();
    if (event.type === "inviteReceived") announce(t("ringing"));
    // Where a failure ends the call, the end says so.
    if (event.type === "recAborted" && !event.endsCall) showNotice("recording", { kind: "warn", text: t("recordingFailed"), forMs: 8_000 });
  }

  /** @param {{ type: string } & Record<string, any>} event */
  #apply(event) {
    const next = reduce(this.state, event, Date.now());
    if (next === this.state) return;
    this.state = next;
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }

  /** Asks how the own call stands: roles, for instance, change without a word. */
  #viewSoon() {
    clearTimeout(this.#view);
    this.#view = setTimeout(() => {
      const id = this.state.call?.id;
      if (!id) return;
      this.calls.queryCall(id).then(({ call }) => this.#apply({ type: "viewed", call }), () => {});
    }, 150);
  }

  #lookSoon() {
    if (this.#closed || this.state.role === "customer") return;
    clearTimeout(this.#look);
    this.#look = setTimeout(() => void this.#lookAround(), 150);
  }

  /** Looks at the seats of the own groups and, as a supervisor, at their calls. */
  async #lookAround() {
    clearTimeout(this.#look);
    if (!document.hidden && this.state.link === "online") {
      const { me, role } = this.state;
      const own = this.groups.filter((group) => group.members.includes(me));
      const groups = own.length > 0 ? own : this.groups;
      try {
        const pages = await Promise.all(groups.map(({ id }) => this.calls.listAgents(id, { size: 100 })));
        const seats = new Map(pages.flatMap(({ agents }) => agents).map((seat) => [seat.person.user, seat]));
        const wall = role === "supervisor" ? await this.calls.queryCalls() : undefined;
        this.#apply({ type: "looked", seats: [...seats.values()], wall });
      } catch {
        // The next look will tell.
      }
    }
    if (!this.#closed) this.#look = setTimeout(() => void this.#lookAround(), LOOK_MS);
  }
}
