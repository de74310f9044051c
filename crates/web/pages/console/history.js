/**
 * Rooms that were: how long, how many, how good; each one's figures as CSV.
 */

import { part } from "../common/api.js";
import { clock } from "../common/clock.js";
import { byId, make } from "../common/dom.js";
import { percent } from "./chart.js";
import { dateAndTime, t } from "./i18n.js";

/** @import { Api } from "../common/api.js" */

/** @param {Api} api */
export async function showHistory(api) {
  const element = byId("history");
  let occurrences;
  try {
    ({ occurrences } = await api.get("v1/history?limit=200"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    element.replaceChildren(make("p", { class: "empty" }, t("actionFailed", { why })));
    return;
  }
  if (occurrences.length === 0) {
    element.replaceChildren(make("p", { class: "empty" }, t("noHistory")));
    return;
  }
  const heads = /** @type {const} */ (["room", "started", "duration", "reason", "people", "data", "rtt", "loss", "mos"]);
  const head = make("tr", {}, ...heads.map((key) => make("th", { scope: "col" }, t(key))));
  const rows = occurrences.map((/** @type {any} */ found) => row(api, found));
  const table = make("table", { class: "tracks" }, make("thead", {}, head), make("tbody", {}, ...rows));
  element.replaceChildren(make("div", { class: "scroll" }, table));
}

/** @param {Api} api @param {any} found */
function row(api, found) {
  const summary = found.summary ?? {};
  const number = (/** @type {number | null | undefined} */ value, /** @type {(n: number) => string} */ format) =>
    typeof value === "number" ? format(value) : "–";
  const csv = api.url(`v1/history/${part(found.id)}?format=csv`);
  const cells = [
    found.room,
    dateAndTime(found.startedAt),
    found.durationS === null ? t("lasting") : clock(found.durationS),
    found.reason ?? "–",
    number(summary.identities, String),
    number(summary.sentMb, (mb) => `${mb.toFixed(1)} MB`),
    number(summary.rttMean, (ms) => `${ms.toFixed(0)} ms`),
    number(summary.packetsLostRateMean, percent),
    number(summary.mosMean, (mos) => mos.toFixed(2)),
  ];
  const download = make("a", { class: "text-button", href: csv, download: `${found.id}.csv` }, "CSV");
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)), make("td", {}, download));
}
