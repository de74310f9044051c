/**
 * What wants an answer or is worth a word when there is no picture: a call that rings, a colleague who
 * asks, a place in the queue, how the last call ended.
 */

import { byId, icon, make } from "../common/dom.js";
import { initials, tint } from "../common/person.js";
import { t } from "./i18n.js";
import { Rows } from "./rows.js";
import { endWords, nameOf, progressWords } from "./words.js";

/** @import { Person } from "../../sdk/calls/types.js" */
/** @import { Phone } from "./phone.js" */
/** @import { Ask, Ring } from "./state.js" */

export class Cards {
  #phone;
  #rings;
  #asks;

  /** @param {Phone} phone */
  constructor(phone) {
    this.#phone = phone;
    byId("rings").replaceChildren();
    byId("asks").replaceChildren();
    this.#rings = new Rows(byId("rings"), (/** @type {Ring} */ ring) => ring.invite, (ring) => this.#ring(ring));
    this.#asks = new Rows(byId("asks"), (/** @type {Ask} */ ask) => `${ask.kind}:${ask.call}`, (ask) => this.#ask(ask));
  }

  show() {
    const { state } = this.#phone;
    const { call, ended, role, rings, asks, seat } = state;
    this.#rings.show(rings);
    this.#asks.show(asks);
    const progress = progressWords(state);
    byId("progress").hidden = progress === "";
    byId("progress-text").textContent = progress;
    byId("ended").hidden = ended === null;
    byId("ended").textContent = ended ? endWords(ended) : "";
    const idle = role === "agent" && call === null && rings.length === 0 && asks.length === 0;
    byId("idle").hidden = !idle;
    byId("idle-title").textContent = t(seat === "busy" ? "resting" : "waiting");
    byId("idle-text").textContent = t(seat === "busy" ? "restingText" : "waitingText");
  }

  /** @param {Ring} ring */
  #ring(ring) {
    const { calls } = this.#phone;
    const { element, title, text, yes, no } = card(ring.caller, "phone");
    const video = ring.media === "video";
    const less = video ? make("button", { type: "button", class: "secondary" }) : null;
    less?.addEventListener("click", () => void this.#phone.enter(() => calls.accept(ring.invite, { media: "audio" })));
    if (less) no.before(less);
    yes.addEventListener("click", () => void this.#phone.enter(() => calls.accept(ring.invite)));
    no.addEventListener("click", () => void this.#phone.run(() => calls.reject(ring.invite)));
    element.dataset.ring = ring.call;
    return {
      element,
      show: (/** @type {Ring} */ { caller, target }) => {
        title.textContent = t(video ? "ringsVideo" : "ringsAudio", { name: nameOf(caller) });
        const group = target.type === "queue" ? this.#groupName(target.group) : "";
        text.textContent = group ? t("forGroup", { group }) : "";
        yes.lastElementChild?.replaceChildren(t(video ? "answerVideo" : "answer"));
        less?.replaceChildren(t("answerAudio"));
        no.replaceChildren(t("reject"));
      },
    };
  }

  /** @param {Ask} ask */
  #ask({ kind, call, by }) {
    const { calls } = this.#phone;
    const transfer = kind === "transfer";
    const { element, title, text, yes, no } = card(by, transfer ? "transfer" : "people");
    yes.addEventListener("click", () =>
      void this.#phone.enter(() => (transfer ? calls.transferAccept(call) : calls.thirdAccept(call))));
    no.addEventListener("click", () =>
      void this.#phone.run(() => (transfer ? calls.transferReject(call) : calls.thirdReject(call))));
    element.dataset.ask = kind;
    return {
      element,
      show: () => {
        title.textContent = t(transfer ? "asksTransfer" : "asksThird", { name: nameOf(by) });
        text.textContent = t(transfer ? "asksTransferText" : "asksThirdText");
        yes.lastElementChild?.replaceChildren(t(transfer ? "takeOver" : "joinIn"));
        no.replaceChildren(t("reject"));
      },
    };
  }

  /** @param {string} id */
  #groupName(id) {
    return this.#phone.groups.find((group) => group.id === id)?.name || id;
  }
}

/** @param {Person} person @param {string} picture */
function card(person, picture) {
  const avatar = make("span", { class: "avatar", "aria-hidden": "true" }, initials(nameOf(person)));
  avatar.dataset.tint = String(tint(person.user));
  const title = make("h2", {});
  const text = make("p", { class: "lead" });
  const yes = make("button", { type: "button", class: "primary" }, icon(picture), make("span", {}));
  const no = make("button", { type: "button", class: "secondary refuse" });
  const actions = make("div", { class: "card-actions" }, yes, no);
  const element = make("article", { class: "card ring", role: "alertdialog", "aria-live": "assertive" }, avatar, title, text, actions);
  return { element, title, text, yes, no };
}
