/**
 * Why a subscriber sees a track as it does: the server's own explanation, as a list of what it says.
 */

import { part } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { t } from "./i18n.js";

/** @import { Api } from "../common/api.js" */

/**
 * @param {Api} api
 * @param {string} room
 * @param {{ identity: string, name: string }} who
 * @param {string} track
 */
export async function explain(api, room, who, track) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("explain"));
  const title = make("h2", { id: "explain-title" }, t("explainTitle", { who: who.name || who.identity }));
  const content = make("div", { class: "explain-content" });
  const close = make("button", { type: "button", class: "primary small" }, t("close"));
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(title, content, close);
  dialog.showModal();
  const path = `v1/rooms/${part(room)}/participants/${part(who.identity)}/subscriptions/${part(track)}/explain`;
  try {
    content.replaceChildren(...described(await api.get(path)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    content.textContent = t("explainMissing", { why });
  }
}

/** @param {any} explanation @returns {HTMLElement[]} */
function described(explanation) {
  const { reason, sentence, explanation: words, ...rest } = explanation;
  const lead = make("p", { class: "lead" }, String(sentence ?? words ?? reason ?? ""));
  return [lead, list(rest)];
}

/** Any JSON as a list of names and values. @param {any} value @returns {HTMLElement} */
function list(value) {
  const terms = make("dl", {});
  for (const [name, content] of Object.entries(value ?? {})) {
    const nested = content !== null && typeof content === "object";
    terms.append(make("dt", {}, name));
    terms.append(make("dd", {}, nested ? list(content) : String(content ?? "–")));
  }
  return terms;
}
