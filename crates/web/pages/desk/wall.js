/** The supervisor's wall: every live call of the own groups, and what can be done about it. */

import { clock } from "../common/clock.js";
import { byId, make } from "../common/dom.js";
import { t } from "./i18n.js";
import { Rows } from "./rows.js";
import { agentOf, otherSide } from "./state.js";
import { callWords, nameOf } from "./words.js";

/** @import { CallView } from "../../sdk/calls/types.js" */
/** @import { Phone } from "./phone.js" */

export class Wall {
  #phone;
  #rows;

  /** @param {Phone} phone */
  constructor(phone) {
    this.#phone = phone;
    byId("wall").replaceChildren();
    this.#rows = new Rows(byId("wall"), (/** @type {CallView} */ call) => call.id, (call) => this.#row(call));
    const { calls } = phone;
    /** @type {[string, (call: string) => Promise<unknown>][]} */
    const actions = [
      ["mon-whisper", (call) => calls.monWhisper(call, phone.state.monitor?.state !== "whispering")],
      ["mon-barge", (call) => calls.monBarge(call)],
      ["mon-stop", (call) => (phone.state.monitor?.state === "barged" ? calls.monExitBarge(call) : calls.monStop(call))],
      ["mon-end", (call) => calls.monEndCall(call)],
    ];
    for (const [id, action] of actions) {
      byId(id).onclick = () => {
        const call = phone.state.monitor?.call;
        if (call) void phone.run(() => action(call));
      };
    }
  }

  show() {
    const { role, wall, monitor } = this.#phone.state;
    byId("wall-pane").hidden = role !== "supervisor";
    if (role !== "supervisor") return;
    this.#rows.show(wall);
    byId("wall-empty").hidden = wall.length > 0;
    byId("wall-count").textContent = String(wall.length);
    byId("monitor").hidden = monitor === null;
    byId("monitor-state").textContent = monitor ? t(MONITOR[monitor.state]) : "";
    byId("monitor-state").dataset.monitor = monitor?.state ?? "none";
    const ready = monitor !== null && monitor.state !== "starting";
    const barged = monitor?.state === "barged";
    const whispering = monitor?.state === "whispering";
    const whisper = byId("mon-whisper");
    whisper.hidden = barged;
    whisper.setAttribute("aria-pressed", String(whispering));
    for (const id of ["mon-whisper", "mon-barge", "mon-end"]) byId(id).toggleAttribute("disabled", !ready);
    byId("mon-barge").hidden = barged;
    byId("mon-stop").textContent = t(barged ? "exitBarge" : "stopListening");
  }

  /** @param {CallView} call */
  #row({ id }) {
    const customer = make("b", {});
    const agent = make("span", { class: "wall-agent" });
    const state = make("span", { class: "wall-state" });
    const time = make("span", { class: "wall-time" });
    const listen = make("button", { type: "button", class: "primary small" });
    const end = make("button", { type: "button", class: "secondary small refuse" });
    const { calls } = this.#phone;
    listen.addEventListener("click", () => void this.#phone.run(() => calls.monStart(id)));
    end.addEventListener("click", () => {
      if (confirm(t("forceEndSure", { name: customer.textContent ?? "" }))) void this.#phone.run(() => calls.forceEnd(id));
    });
    const people = make("p", { class: "wall-people" }, customer, agent);
    const actions = make("div", { class: "wall-actions" }, listen, end);
    const element = make("li", { class: "wall-call", "data-call": id }, people, make("p", { class: "wall-facts" }, state, time), actions);
    return {
      element,
      show: (/** @type {CallView} */ call) => {
        customer.textContent = nameOf(call.participants.find((each) => each.role === "guest")?.person ?? call.initiator);
        const lead = agentOf(call)?.person ?? call.invites[0]?.callee ?? otherSide(call, call.initiator.user)?.person;
        agent.textContent = lead && lead.user !== call.initiator.user ? nameOf(lead) : t("noAgentYet");
        state.textContent = callWords(call);
        state.dataset.state = call.participants.some((each) => each.held) ? "held" : call.state;
        time.textContent = clock((Date.now() - (call.beginMs || call.createdMs)) / 1000);
        const name = customer.textContent;
        listen.textContent = t("listen");
        listen.setAttribute("aria-label", t("listenWho", { name }));
        end.textContent = t("forceEnd");
        end.setAttribute("aria-label", t("forceEndWho", { name }));
        const { monitor } = this.#phone.state;
        element.toggleAttribute("data-monitored", monitor?.call === id);
        listen.toggleAttribute("disabled", call.state !== "active" || monitor !== null);
      },
    };
  }
}

const MONITOR = /** @type {const} */ ({
  none: "monitorStarting",
  starting: "monitorStarting",
  listening: "monitorListening",
  whispering: "monitorWhispering",
  barged: "monitorBarged",
});
