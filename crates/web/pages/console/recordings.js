/**
 * Recordings: what there is, played in the page or downloaded.
 */

import { part } from "../common/api.js";
import { clock } from "../common/clock.js";
import { byId, make } from "../common/dom.js";
import { dateAndTime, t } from "./i18n.js";

/** @import { Api } from "../common/api.js" */

/** @param {Api} api */
export async function showRecordings(api) {
  const element = byId("recordings");
  let recordings;
  try {
    ({ recordings } = await api.get("v1/recordings"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    element.replaceChildren(make("p", { class: "empty" }, t("recordingsMissing", { why })));
    return;
  }
  if (recordings.length === 0) {
    element.replaceChildren(make("p", { class: "empty" }, t("noRecordings")));
    return;
  }
  element.replaceChildren(...recordings.map((/** @type {any} */ found) => card(api, found)));
}

/** @param {Api} api @param {any} recording */
function card(api, recording) {
  const about = [
    recording.room,
    recording.startedAt && dateAndTime(recording.startedAt),
    typeof recording.durationMs === "number" && clock(recording.durationMs / 1000),
    recording.state,
  ].filter(Boolean);
  const files = make("ul", { class: "files" });
  for (const file of recording.files ?? recording.tracks ?? []) {
    files.append(fileRow(api, recording, file));
  }
  return make("article", { class: "recording" }, make("h2", {}, about.join(" · ")), files);
}

/** @param {Api} api @param {any} recording @param {any} file */
function fileRow(api, recording, file) {
  const name = String(file.file ?? file.name ?? file);
  const path = `v1/recordings/${part(recording.id)}/files/${part(name)}`;
  const row = make("li", {}, make("span", { class: "file-name" }, name));
  const play = make("button", { type: "button", class: "text-button" }, t("play"));
  play.addEventListener("click", () => {
    const player = make("video", { controls: true, autoplay: true, src: api.url(path) });
    play.replaceWith(player);
  });
  const download = make("a", { class: "text-button", href: api.url(path), download: name }, t("download"));
  row.append(play, download);
  return row;
}
