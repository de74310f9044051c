/**
 * Why a subscriber sees a track as it does: what keeps the picture from being better, the layers that
 * there are, what its link carries, and what changed lately.
 */

import { part } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { rate } from "./chart.js";
import { isText, t } from "./i18n.js";

/** @import { Api } from "../common/api.js" */
/** @import { TextKey } from "./i18n.js" */

/** What stands for all spatial and temporal layers that there are. */
const ALL_SPATIAL = 3;
const ALL_TEMPORAL = 7;

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

/** @param {any} found @returns {HTMLElement[]} */
function described(found) {
  const layers = found.layers.map((/** @type {any} */ layer) => [
    named(layer),
    rate(layer.bitrateBps / 1000),
    t(stateOf(layer, found)),
  ]);
  const facts = [
    [t("linkCarries"), found.estimateBps === null ? "–" : rate(found.estimateBps / 1000)],
    [t("granted"), rate(found.grantedBps / 1000)],
    [t("nextNeeds"), found.nextBps === null ? "–" : rate(found.nextBps / 1000)],
    [t("askedFor"), found.wish.wanted ? limit(found.wish.largest) : t("nothingAsked")],
  ];
  const switches = found.switches.toReversed().map((/** @type {any} */ change) => [
    t("ago", { s: String(Math.round(change.agoMs / 1000)) }),
    `${choice(change.from, found.layers)} → ${choice(change.to, found.layers)}`,
    change.cause ? reason(change.cause) : "",
  ]);
  return [
    make("p", { class: "lead" }, sentence(found)),
    section("layersHead", table(layers)),
    section("linkHead", table(facts)),
    ...(switches.length > 0 ? [section("switchesHead", table(switches))] : []),
  ];
}

/** What keeps the picture from being better. @param {any} found */
function sentence({ reason: why, estimateBps, grantedBps, nextBps, wish }) {
  if (why === null) return t("why_nothing");
  if (why === "bandwidth" && estimateBps !== null && nextBps !== null) {
    const [estimate, granted, next] = [estimateBps, grantedBps, nextBps].map((bps) => rate(bps / 1000));
    return t("why_bandwidth_figures", { estimate, granted, next });
  }
  if (why === "size" && wish.largest.width) return t("why_size_pixels", { size: pixels(wish.largest) });
  return reason(why);
}

/** @param {string} why */
function reason(why) {
  const key = `why_${why}`;
  return isText(key) ? t(key) : why;
}

/** @param {any} layer @param {any} found @returns {TextKey} */
function stateOf(layer, { current, target }) {
  if (isSame(layer, current)) return "layerShown";
  if (isSame(layer, target)) return "layerComing";
  if (layer.flows) return "layerThere";
  return layer.unwatched ? "layerUnwatched" : "layerMissing";
}

/** @param {any} layer @param {any} chosen */
function isSame(layer, chosen) {
  return chosen !== null && ["encoding", "spatial", "temporal"].every((name) => layer[name] === chosen[name]);
}

/** @param {any} chosen @param {any[]} layers */
function choice(chosen, layers) {
  if (chosen === null) return t("nothingShown");
  const layer = layers.find((layer) => isSame(layer, chosen));
  return named(layer ?? { ...chosen, size: null, rid: null });
}

/** A layer's size, and which of its encoding's layers it is where that has several. @param {any} layer */
function named({ size, rid, encoding, spatial, temporal }) {
  const parts = [size ? pixels(size) : `${t("encoding")} ${rid ?? encoding}`];
  if (spatial !== ALL_SPATIAL) parts.push(`S${spatial}`);
  if (temporal !== ALL_TEMPORAL) parts.push(`T${temporal}`);
  return parts.join(" ");
}

/** @param {{ width: number, height: number }} size */
function pixels({ width, height }) {
  return `${width}×${height}`;
}

/** A limit as the API has it. @param {any} largest */
function limit(largest) {
  if (typeof largest === "number") return `S${largest}`;
  if (largest.width) return pixels(largest);
  return largest === "best" ? t("best") : t("small");
}

/** @param {TextKey} head @param {HTMLElement} body */
function section(head, body) {
  return make("section", {}, make("h3", {}, t(head)), body);
}

/** @param {string[][]} rows the first cell of each names it */
function table(rows) {
  const body = make("tbody", {});
  for (const [name, ...cells] of rows) {
    body.append(make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell))));
  }
  return make("table", {}, body);
}
