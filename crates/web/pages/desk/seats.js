/** Seats: the own one, the colleagues', and the dialog that asks one of them for help. */

import { byId, make } from "../common/dom.js";
import { initials, tint } from "../common/person.js";
import { t } from "./i18n.js";
import { Rows } from "./rows.js";
import { nameOf, seatWords } from "./words.js";

/** @import { Seat } from "../../sdk/calls/types.js" */
/** @import { Phone } from "./phone.js" */

export class Seats {
  #phone;
  #rows;
  #choices;
  #dialog = /** @type {HTMLDialogElement} */ (byId("pick"));
  /** @type {"transfer" | "third"} */
  #purpose = "transfer";

  /** @param {Phone} phone */
  constructor(phone) {
    this.#phone = phone;
    byId("seats").replaceChildren();
    byId("pick-list").replaceChildren();
    const key = (/** @type {Seat} */ seat) => seat.person.user;
    this.#rows = new Rows(byId("seats"), key, (seat) => seatRow(seat));
    this.#choices = new Rows(byId("pick-list"), key, (seat) => this.#choice(seat));
    byId("ready-switch").onclick = () => {
      const resting = this.#phone.state.seat === "busy";
      void this.#phone.run(() => this.#phone.calls.setSeat(resting ? "ready" : "rest"));
    };
    byId("pick-close").onclick = () => this.#dialog.close();
  }

  /** Lets the user choose a colleague. @param {"transfer" | "third"} purpose */
  pick(purpose) {
    this.#purpose = purpose;
    this.#choices.show([]);
    this.show();
    this.#dialog.showModal();
  }

  show() {
    const { seat, seats, me, role, call } = this.#phone.state;
    byId("seat-card").hidden = role === "customer";
    byId("own-seat").hidden = role !== "agent";
    byId("seat-state").textContent = seatWords(seat);
    byId("seat-state").dataset.seat = seat ?? "offline";
    const ready = byId("ready-switch");
    ready.textContent = t(seat === "busy" ? "takeCalls" : "rest");
    ready.toggleAttribute("disabled", call !== null || (seat !== "busy" && seat !== "idle"));
    const others = seats.filter((each) => each.person.user !== me);
    this.#rows.show(others);
    byId("no-seats").hidden = others.length > 0;
    byId("pick-title").textContent = t(this.#purpose === "transfer" ? "transferTo" : "askWhom");
    byId("pick-none").hidden = others.length > 0;
    if (this.#dialog.open || this.#purpose) this.#choices.show(others);
  }

  /** A colleague who can be asked. @param {Seat} seat */
  #choice(seat) {
    const row = seatRow(seat);
    const user = seat.person.user;
    const { calls } = this.#phone;
    /** @param {() => Promise<unknown>} action */
    const button = (action) => {
      const made = make("button", { type: "button", class: "text-button" });
      made.addEventListener("click", () => {
        this.#dialog.close();
        void this.#phone.run(action);
      });
      return made;
    };
    const ask = button(() => (this.#purpose === "transfer" ? calls.transferAsk(user) : calls.thirdAsk(user)));
    const blind = button(() => calls.transferBlind(user));
    row.element.append(ask, blind);
    return {
      element: row.element,
      show: (/** @type {Seat} */ now) => {
        row.show(now);
        const name = nameOf(now.person);
        const transfer = this.#purpose === "transfer";
        ask.textContent = t(transfer ? "askFirst" : "askToJoin");
        ask.setAttribute("aria-label", t(transfer ? "askFirstWho" : "askToJoinWho", { name }));
        blind.textContent = t("handOver");
        blind.setAttribute("aria-label", t("handOverWho", { name }));
        blind.hidden = !transfer;
        for (const each of [ask, blind]) each.toggleAttribute("disabled", now.state !== "idle");
      },
    };
  }
}

/** @param {Seat} seat */
function seatRow({ person }) {
  const avatar = make("span", { class: "avatar", "aria-hidden": "true" });
  avatar.dataset.tint = String(tint(person.user));
  const name = make("b", {});
  const state = make("small", { class: "seat-state" });
  const element = make("li", { class: "seat" }, avatar, make("span", { class: "who" }, name, state));
  return {
    element,
    show: (/** @type {Seat} */ now) => {
      name.textContent = nameOf(now.person);
      avatar.textContent = initials(nameOf(now.person));
      state.textContent = seatWords(now.state);
      state.dataset.seat = now.state;
      element.dataset.user = now.person.user;
    },
  };
}
