/**
 * The call: controls, panels, and words for everything that happens in it. One object for the life
 * of the page; the room is joined and left as often as the user likes.
 */

import { canShareScreen, isCrosspointError } from "../../sdk/crosspoint.js";
import { deviceProblem } from "../common/device-problems.js";
import { byId, setIcon, setLabel } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { announce, hideNotice, showNotice } from "../common/notices.js";
import { pictureSize, remember, settings } from "../common/settings.js";
import { Chat } from "./chat.js";
import { DeviceFields } from "./device-fields.js";
import { Gallery } from "./gallery.js";
import { t } from "./i18n.js";
import { Panels } from "./panels.js";
import { shareLink } from "./params.js";
import { People } from "./people.js";

/** @import { LocalTrack, Room } from "../../sdk/crosspoint.js" */
/** @import { Choice } from "./device-fields.js" */
/** @import { Device } from "./lobby.js" */

/** How long an interruption lasts before it is worth words, in milliseconds. */
const PATIENCE_MS = 1_000;

export class Call {
  #room;
  #gallery;
  #people;
  #panels;
  #devices;
  #startedAt = 0;
  #unread = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    this.#gallery = new Gallery(room);
    this.#people = new People(room);
    const chat = new Chat(room, (count) => this.#showUnread(count));
    this.#panels = new Panels((panel) => chat.setOpen(panel === "chat"));
    this.#devices = new DeviceFields(byId("call-devices"), (choice, value) => this.#onChoice(choice, value));
    this.#bindControls();
    this.#bindRoom();
    onLanguage(() => this.#showControls());
    setInterval(() => this.#showClock(), 1_000);
  }

  /**
   * The call begins.
   *
   * @param {Partial<Record<Device, string>>} problems devices that could not be opened, by error type
   */
  begin(problems) {
    this.#startedAt = Date.now();
    const link = shareLink(location.href, this.#room.name);
    byId("room-name").textContent = this.#room.name;
    /** @type {HTMLInputElement} */ (byId("share-link")).value = link;
    this.#showClock();
    this.#refresh();
    for (const device of /** @type {const} */ (["camera", "microphone"])) {
      const problem = problems[device];
      if (problem) this.#deviceNotice(device, problem);
    }
    if (this.#room.audioBlocked) this.#audioNotice();
    byId("main").focus({ preventScroll: true });
  }

  /** The call is over: nothing of it stays on the page. */
  end() {
    clearTimeout(this.#patience);
    this.#panels.close();
    /** @type {HTMLDialogElement} */ (byId("settings")).close();
    this.#gallery.refresh();
  }

  #bindControls() {
    /** @type {[string, () => void][]} */
    const actions = [
      ["mic", () => void this.#toggleDevice("microphone")],
      ["cam", () => void this.#toggleDevice("camera")],
      ["screen", () => void this.#toggleScreen()],
      ["people-toggle", () => this.#panels.toggle("people")],
      ["chat-toggle", () => this.#panels.toggle("chat")],
      ["settings-toggle", () => this.#openSettings()],
      ["leave", () => void this.#room.leave()],
      ["copy-link", () => void this.#copyLink(byId("copy-link"), "copyLink")],
      ["alone-copy", () => void this.#copyLink(byId("alone-copy"), "copy")],
    ];
    for (const [id, run] of actions) byId(id).addEventListener("click", run);
    const dialog = /** @type {HTMLDialogElement} */ (byId("settings"));
    byId("settings-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    const shortcuts = /** @type {HTMLInputElement} */ (byId("shortcuts"));
    shortcuts.checked = settings.shortcuts;
    shortcuts.addEventListener("change", () => remember({ shortcuts: shortcuts.checked }));
    document.addEventListener("keydown", (event) => this.#onKey(event));
    byId("share-link").addEventListener("focus", (event) => {
      /** @type {HTMLInputElement} */ (event.target).select();
    });
  }

  #bindRoom() {
    const room = this.#room;
    const refresh = () => this.#refresh();
    for (const name of /** @type {const} */ ([
      "participantUpdated", "trackPublished", "trackUnpublished", "trackSubscribed", "trackUnsubscribed",
      "trackMuted", "activeSpeakers", "localTrackUnpublished", "localParticipantUpdated",
    ])) room.on(name, refresh);
    for (const name of /** @type {const} */ (["localTrackPublished", "localTrackSwitched"])) {
      room.on(name, ({ track }) => this.#onLocalTrack(track));
    }
    room.on("participantJoined", ({ participant }) => {
      // Those who were there before us need no announcement.
      if (this.#startedAt && room.state !== "connecting") this.#say(t("joined", { name: participant.name }));
      refresh();
    });
    room.on("participantLeft", ({ participant, reason }) => {
      if (reason) this.#say(t("leftRoom", { name: participant.name }));
      refresh();
    });
    room.on("trackPublished", ({ track, participant }) => {
      if (track.source === "screen_share") announce(t("sharingNow", { name: participant.name }));
    });
    room.on("localTrackMuted", ({ track, byServer }) => {
      if (byServer) this.#onServerMute(track);
      this.#onLocalTrack(track);
    });
    room.on("deviceLost", ({ track }) => this.#onDeviceLost(track));
    room.on("stateChanged", ({ state }) => this.#onState(state));
    room.on("draining", () => showNotice("draining", { kind: "warn", text: t("draining") }));
    room.on("moved", ({ room: { name } }) => {
      byId("room-name").textContent = name;
      showNotice("moved", { kind: "info", text: t("moved", { room: name }) });
    });
    room.on("audioBlocked", ({ blocked }) => (blocked ? this.#audioNotice() : hideNotice("audio")));
    for (const name of ["online", "offline"]) {
      globalThis.addEventListener(name, () => room.state === "reconnecting" && this.#connectionNotice());
    }
  }

  /** Pictures are put together when there is a call to show: meanwhile connecting has the page for itself. */
  #refresh() {
    if (this.#room.state === "disconnected" || this.#room.state === "connecting") return;
    this.#gallery.refresh();
    this.#people.refresh();
    this.#showControls();
    byId("alone").hidden = this.#gallery.others > 0 || this.#room.localParticipant.track("screen_share") !== undefined;
  }

  /** @param {LocalTrack} track */
  #onLocalTrack(track) {
    if (this.#room.state === "connecting") return;
    if (track.kind === "video") this.#gallery.refreshLocalPicture(track);
    this.#refresh();
  }

  /** @param {Device} device */
  async #toggleDevice(device) {
    const local = this.#room.localParticipant;
    const on = !local.track(device)?.isLive;
    hideNotice(device);
    try {
      if (device === "camera") {
        await local.setCameraEnabled(on, { deviceId: settings.camera, ...pictureSize() });
      } else {
        await local.setMicrophoneEnabled(on, { deviceId: settings.microphone });
      }
    } catch (error) {
      this.#deviceNotice(device, isCrosspointError(error) ? error.type : "");
    }
    this.#refresh();
  }

  async #toggleScreen() {
    const local = this.#room.localParticipant;
    try {
      await local.setScreenShareEnabled(!local.track("screen_share"));
    } catch (error) {
      // Closing the browser's chooser is a decision, not a failure.
      if (isCrosspointError(error, "screen_refused")) return;
      const text = isCrosspointError(error, "not_permitted") ? t("publishRefused") : t("screenFailed");
      showNotice("screen", { kind: "error", text });
    }
  }

  /**
   * @param {Choice} choice
   * @param {string} value
   */
  async #onChoice(choice, value) {
    const local = this.#room.localParticipant;
    try {
      if (choice === "speaker") await this.#room.setSpeaker(value);
      else if (choice === "microphone") await local.switchDevice("audioinput", value);
      else if (choice === "camera") await local.switchDevice("videoinput", value);
      else await local.track("camera")?.mediaStreamTrack.applyConstraints(idealSize());
    } catch (error) {
      const device = choice === "microphone" ? "microphone" : "camera";
      if (choice !== "speaker") this.#deviceNotice(device, isCrosspointError(error) ? error.type : "");
    }
  }

  #openSettings() {
    void this.#devices.refresh();
    /** @type {HTMLDialogElement} */ (byId("settings")).showModal();
  }

  /**
   * @param {HTMLElement} button
   * @param {"copyLink" | "copy"} label
   */
  async #copyLink(button, label) {
    const link = shareLink(location.href, this.#room.name);
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      // No clipboard on insecure pages: the link stands in the field to be copied by hand.
      byId("share-link").focus();
      return;
    }
    const text = /** @type {HTMLElement} */ (button.querySelector("span"));
    text.textContent = t("linkCopied");
    announce(t("linkCopied"));
    setTimeout(() => (text.textContent = t(label)), 2_000);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { key, target } = event;
    if (document.body.dataset.view !== "call" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (key === "Escape") this.#panels.close();
    const typing = target instanceof HTMLElement && target.matches("input, textarea, select");
    if (typing || !settings.shortcuts || event.repeat) return;
    const button = document.querySelector(`.dock [aria-keyshortcuts="${CSS.escape(key.toLowerCase())}"]`);
    if (!(button instanceof HTMLElement)) return;
    event.preventDefault();
    button.click();
  }

  #showControls() {
    const local = this.#room.localParticipant;
    const micOn = Boolean(local.track("microphone")?.isLive);
    const camOn = Boolean(local.track("camera")?.isLive);
    const sharing = local.track("screen_share") !== undefined;
    control("mic", micOn ? "mic" : "mic-off", micOn ? t("micMute") : t("micUnmute"));
    byId("mic").toggleAttribute("data-off", !micOn);
    control("cam", camOn ? "cam" : "cam-off", camOn ? t("camOff") : t("camOn"));
    byId("cam").toggleAttribute("data-off", !camOn);
    control("screen", "screen", sharing ? t("stopSharing") : t("shareScreen"));
    byId("screen").setAttribute("aria-pressed", String(sharing));
    byId("screen").hidden = !canShareScreen();
    control("people-toggle", "people", t("peopleCount", { count: this.#room.participants.size + 1 }));
    control("chat-toggle", "chat", this.#unread ? t("chatUnread", { count: this.#unread }) : t("chat"));
    control("settings-toggle", "settings", t("settings"));
    control("leave", "leave", t("leave"));
  }

  /** @param {number} count */
  #showUnread(count) {
    this.#unread = count;
    const badge = byId("chat-badge");
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    this.#showControls();
  }

  #showClock() {
    if (this.#room.state === "disconnected") return;
    const seconds = Math.floor((Date.now() - this.#startedAt) / 1000);
    const pad = (/** @type {number} */ value) => String(value).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
    byId("clock").textContent = hours ? `${hours}:${rest}` : rest;
  }

  /** @param {string} text */
  #say(text) {
    showNotice("coming-and-going", { kind: "info", text, forMs: 4_000 });
  }

  /** @param {Room["state"]} state */
  #onState(state) {
    clearTimeout(this.#patience);
    if (state === "reconnecting") {
      this.#patience = setTimeout(() => this.#connectionNotice(), PATIENCE_MS);
    } else if (state === "connected" && this.#troubled) {
      showNotice("connection", { kind: "good", text: t("reconnected"), forMs: 3_000 });
      this.#troubled = false;
    } else {
      hideNotice("connection");
      this.#troubled = false;
    }
    byId("stage").toggleAttribute("data-interrupted", state === "reconnecting");
  }

  /** Whether the user was told of an interruption. */
  #troubled = false;

  #connectionNotice() {
    this.#troubled = true;
    const text = navigator.onLine ? t("reconnecting") : t("offline");
    showNotice("connection", { kind: "warn", text, sticky: true });
  }

  #audioNotice() {
    const action = { text: t("startAudio"), run: () => void this.#room.startAudio() };
    showNotice("audio", { kind: "info", text: t("audioBlocked"), action, sticky: true });
  }

  /** @param {LocalTrack} track */
  #onServerMute(track) {
    const key = `server-mute-${track.kind}`;
    if (!track.mutedByServer) hideNotice(key);
    else {
      const text = t(track.kind === "audio" ? "mutedByServer" : "cameraMutedByServer");
      showNotice(key, { kind: "warn", text });
    }
  }

  /** @param {LocalTrack} track */
  #onDeviceLost(track) {
    const device = track.source === "camera" ? "camera" : "microphone";
    const action = { text: t("useAnother"), run: () => void this.#toggleDevice(device) };
    showNotice(device, { kind: "warn", text: t(device === "camera" ? "camLost" : "micLost"), action });
  }

  /**
   * @param {Device} device
   * @param {string} problem error type
   */
  #deviceNotice(device, problem) {
    const text = t(deviceProblem(device, problem));
    const again = { text: t("tryAgain"), run: () => void this.#toggleDevice(device) };
    const mendable = problem !== "insecure_context" && problem !== "not_permitted";
    showNotice(device, { kind: "error", text, action: mendable ? again : undefined });
  }
}

/**
 * @param {string} id
 * @param {string} picture
 * @param {string} label
 */
function control(id, picture, label) {
  setIcon(byId(id), picture);
  setLabel(byId(id), label);
}

function idealSize() {
  const { width, height } = pictureSize();
  return { width: { ideal: width }, height: { ideal: height } };
}
