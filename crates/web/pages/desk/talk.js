/**
 * A call that goes on: pictures, controls, keypad, conversation.
 */

import { canShareScreen } from "../../sdk/crosspoint.js";
import { clock } from "../common/clock.js";
import { byId, icon, make, setIcon, setLabel } from "../common/dom.js";
import { currentLanguage } from "../common/i18n.js";
import { hideNotice, showNotice } from "../common/notices.js";
import { t } from "./i18n.js";
import { Rows } from "./rows.js";
import { Stage } from "./stage.js";
import { abilities } from "./state.js";
import { nameOf } from "./words.js";

/** @import { Phone } from "./phone.js" */
/** @import { TextKey } from "./i18n.js" */
/** @import { Line } from "./state.js" */

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

export class Talk {
  #phone;
  #stage = new Stage(byId("tiles"));
  #lines;
  /** @type {import("../../sdk/crosspoint.js").Room | null} */
  #room = null;
  #pressed = "";
  /** @type {string | undefined} */
  #call;

  /**
   * @param {Phone} phone
   * @param {(purpose: "transfer" | "third") => void} pick lets the user choose a colleague
   */
  constructor(phone, pick) {
    this.#phone = phone;
    byId("lines").replaceChildren();
    this.#lines = new Rows(byId("lines"), (/** @type {Line} */ line) => line.key, (line) => this.#line(line));
    this.#bind(pick);
    this.#keypad();
    const form = /** @type {HTMLFormElement} */ (byId("say-form"));
    const text = /** @type {HTMLInputElement} */ (byId("say-text"));
    form.onsubmit = (event) => {
      event.preventDefault();
      const said = text.value.trim();
      text.value = "";
      if (said) void phone.say(said);
    };
  }

  show() {
    const { state } = this.#phone;
    const { call, me, monitor, lines, digits, wall } = state;
    if (call?.id !== this.#call) {
      this.#call = call?.id;
      this.#pressed = "";
      byId("keypad").hidden = true;
    }
    const shown = call ?? wall.find((each) => each.id === monitor?.call) ?? null;
    const room = this.#phone.room;
    if (room !== this.#room) {
      this.#room = room;
      this.#stage.attach(room);
      room?.on("localTrackMuted", () => this.show());
      room?.on("localTrackPublished", () => this.show());
      room?.on("localTrackUnpublished", () => this.show());
      room?.on("audioBlocked", ({ blocked }) => this.#audioNotice(blocked));
    }
    this.#stage.show(shown, me);
    byId("stage").hidden = shown === null && monitor === null;
    byId("dock").hidden = call === null;
    byId("panel").hidden = call === null;
    document.body.toggleAttribute("data-in-call", call !== null);
    byId("recording-mark").hidden = !abilities(state).recording;
    const pressed = this.#pressed + (digits ? ` ← ${digits}` : "");
    byId("digits").textContent = pressed;
    this.#lines.show(lines);
    byId("no-lines").hidden = lines.length > 0;
    this.#showDock();
    this.tick();
  }

  /** Each second. */
  tick() {
    const { call } = this.#phone.state;
    const began = call?.state === "active" && call.beginMs;
    byId("clock").textContent = began ? clock((Date.now() - began) / 1000) : "";
  }

  #showDock() {
    const { state } = this.#phone;
    const can = abilities(state);
    const own = this.#room?.localParticipant;
    const mic = own?.track("microphone")?.isLive ?? false;
    const cam = own?.track("camera")?.isLive ?? false;
    const video = state.call?.media === "video";
    toggle("mic", mic, mic ? "mic" : "mic-off", mic ? "micMute" : "micUnmute");
    toggle("cam", cam, cam ? "cam" : "cam-off", cam ? "camOff" : "camOn", video);
    toggle("screen", can.sharing, "screen", can.sharing ? "stopSharing" : "shareScreen", can.screen && canShareScreen());
    toggle("hold", can.unhold, can.unhold ? "play" : "pause", can.unhold ? "unhold" : "hold", can.hold || can.unhold);
    toggle("keys", !byId("keypad").hidden, "keypad", "keypad", can.keypad);
    const transferring = can.cancelTransfer;
    toggle("transfer", transferring, transferring ? "close" : "transfer", transferring ? "cancelTransfer" : "transfer", can.transfer || transferring);
    const third = can.cancelThird ? "cancelThird" : can.removeThird ? "removeThird" : can.quitThird ? "quitThird" : "third";
    const hasThird = third !== "third";
    toggle("third", hasThird, hasThird ? "close" : "add-person", third, can.third || hasThird);
    toggle("snapshot", false, "snapshot", "snapshot", can.snapshot);
    toggle("record", can.stopRecording, "record", can.stopRecording ? "stopRecording" : "record", can.record || can.stopRecording);
    byId("leave").hidden = !can.leave;
    setLabel(byId("leave"), t("hangUp"));
    byId("help").textContent = this.#help();
    byId("help").hidden = byId("help").textContent === "";
  }

  /** How a transfer or a third party stands. */
  #help() {
    const { transfer, third } = this.#phone.state;
    if (transfer && transfer.state !== "completed") {
      return t(TRANSFER[transfer.state], { name: nameOf(transfer.target) });
    }
    return third ? t(THIRD[third.state], { name: nameOf(third.target) }) : "";
  }

  /** @param {(purpose: "transfer" | "third") => void} pick */
  #bind(pick) {
    const phone = this.#phone;
    const { calls } = phone;
    /** @type {Record<string, (call: string) => Promise<unknown> | void>} */
    const actions = {
      mic: (call) => calls.setEnabled(call, "audio", !this.#room?.localParticipant.track("microphone")?.isLive),
      cam: (call) => calls.setEnabled(call, "video", !this.#room?.localParticipant.track("camera")?.isLive),
      screen: (call) => (abilities(phone.state).sharing ? calls.stopScreen(call) : calls.startScreen(call)),
      hold: (call) => (abilities(phone.state).unhold ? calls.unhold(call) : calls.hold(call)),
      keys: () => {
        byId("keypad").hidden = !byId("keypad").hidden;
        this.#showDock();
        if (!byId("keypad").hidden) byId("keypad").querySelector("button")?.focus();
      },
      transfer: (call) => (abilities(phone.state).cancelTransfer ? calls.transferCancel(call) : pick("transfer")),
      third: (call) => {
        const can = abilities(phone.state);
        if (can.cancelThird) return calls.thirdCancel(call);
        if (can.removeThird) return calls.thirdRemove(call);
        return can.quitThird ? calls.thirdQuit(call) : pick("third");
      },
      snapshot: () => phone.takePicture(),
      record: (call) => (abilities(phone.state).stopRecording ? calls.recStop(call) : calls.recStart({ call })),
      leave: (call) => calls.hangUp(call),
    };
    for (const [id, action] of Object.entries(actions)) {
      byId(id).onclick = () => {
        const call = phone.state.call?.id;
        if (call) void phone.run(async () => action(call)).then(() => this.#showDock());
      };
    }
  }

  #keypad() {
    const keys = KEYS.map((digit) => {
      const key = make("button", { type: "button", class: "key", "data-digit": digit }, digit);
      key.addEventListener("click", () => void this.#press(digit));
      return key;
    });
    byId("key-grid").replaceChildren(...keys);
    byId("keypad").onkeydown = (event) => {
      if (event.key === "Escape") byId("keys").click();
      else if (KEYS.includes(event.key)) void this.#press(event.key);
    };
  }

  /** @param {string} digit */
  #press(digit) {
    return this.#phone.run(async () => {
      await this.#phone.calls.dtmf(digit, this.#phone.state.call?.id);
      this.#pressed = (this.#pressed + digit).slice(-32);
      this.show();
    });
  }

  /** @param {boolean} blocked */
  #audioNotice(blocked) {
    if (!blocked) return hideNotice("audio");
    const action = { text: t("startAudio"), run: () => void this.#room?.startAudio() };
    showNotice("audio", { kind: "info", text: t("audioBlocked"), action, sticky: true });
  }

  /** @param {Line} line */
  #line(line) {
    const when = new Date(line.atMs).toLocaleTimeString(currentLanguage(), { hour: "2-digit", minute: "2-digit" });
    const from = make("b", {});
    const head = make("header", {}, from, make("time", {}, when));
    const body = make("div", { class: "chat-bubble" });
    if (line.kind === "text") body.textContent = line.content;
    const element = make("article", { class: "chat-row", "data-own": line.own, "data-kind": line.kind }, head, body);
    queueMicrotask(() => byId("lines").lastElementChild?.scrollIntoView({ block: "nearest" }));
    return {
      element,
      show: () => {
        const { call, me } = this.#phone.state;
        const person = call?.participants.find((each) => each.person.user === line.from)?.person;
        const name = line.from === me || (line.own && line.kind === "text") ? t("you") : nameOf(person);
        from.textContent = line.kind === "recording" ? t("recordingReady") : line.kind === "picture" ? t("pictureOf", { name }) : name;
        if (line.kind === "picture" && !body.firstChild) {
          const link = make("a", { href: line.content, download: "snapshot.jpg" }, make("img", { src: line.content, alt: from.textContent }));
          body.append(link);
        }
        if (line.kind === "recording") {
          const link = make("a", { href: recordingLink(line.content), target: "_blank", rel: "noopener" }, t("openRecording"));
          body.replaceChildren(icon("record"), link);
        }
      },
    };
  }
}

/**
 * Where a recording is to be seen. What this server keeps is for those who may see recordings, by the
 * Console's token; another store has its own rules.
 *
 * @param {string} address
 */
function recordingLink(address) {
  return address.startsWith("/v1/recordings/") ? "console#tab=recordings" : address;
}

/**
 * @param {string} id of a button of the dock
 * @param {boolean} on
 * @param {string} picture
 * @param {TextKey} label
 * @param {boolean} [shown]
 */
function toggle(id, on, picture, label, shown = true) {
  const button = byId(id);
  button.hidden = !shown;
  setIcon(button, picture);
  setLabel(button, t(label));
  button.setAttribute("aria-pressed", String(on));
  button.toggleAttribute("data-off", picture.endsWith("-off"));
}

const TRANSFER = /** @type {const} */ ({
  requested: "transferRequested", completing: "transferCompleting", completed: "transferCompleting", rejected: "transferRejected",
  canceled: "transferCanceled", timedOut: "transferTimedOut", failed: "transferFailed",
});
const THIRD = /** @type {const} */ ({
  requested: "thirdRequested", joined: "thirdJoined", rejected: "thirdRejected", canceled: "thirdCanceled",
  timedOut: "thirdTimedOut", removed: "thirdGone", quit: "thirdGone", failed: "thirdFailed",
});
