/**
 * Recordings: what there is, played in the page or downloaded.
 */

import { part } from "../common/api.js";
import { clock } from "../common/clock.js";
import { byId, make } from "../common/dom.js";
import { dateAndTime, isText, t } from "./i18n.js";

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
  const state = word("rs_", recording.state);
  const facts = [
    dateAndTime(recording.startedAt),
    clock(recording.durationMs / 1000),
    size(recording.bytes),
    // Why it ended is worth saying when nobody asked for that.
    recording.reason && recording.reason !== "stopped" ? `${state} (${word("rr_", recording.reason)})` : state,
  ];
  const who = make("p", { class: "recording-who" }, recording.participants.join(", "));
  const article = make("article", { class: "recording" });
  article.append(make("h2", {}, recording.room), make("p", { class: "recording-facts" }, facts.join(" · ")), who);
  if (recording.target && recording.state === "ready") {
    article.append(make("p", {}, t("keptAt", { url: recording.target })));
    return article;
  }
  const files = make("ul", { class: "files" });
  for (const file of recording.files) files.append(fileRow(api, recording, file));
  article.append(files);
  return article;
}

/** @param {Api} api @param {any} recording @param {any} file */
function fileRow(api, recording, file) {
  const path = `v1/recordings/${part(recording.id)}/files/${part(file.name)}`;
  const about = [file.name, file.codec, size(file.bytes)].filter(Boolean).join(" · ");
  const row = make("li", {}, make("span", { class: "file-name" }, about));
  const play = make("button", { type: "button", class: "text-button", "aria-label": `${t("play")}: ${file.name}` }, t("play"));
  play.addEventListener("click", () => {
    const player = make("video", { controls: true, src: api.url(path), "aria-label": file.name });
    play.remove();
    row.append(player);
    // Somebody has clicked, so it may sound; a file that the browser does not know says so itself.
    player.play().catch(() => {});
    player.focus();
  });
  const download = make(
    "a",
    { class: "text-button", href: api.url(path), download: file.name, "aria-label": `${t("download")}: ${file.name}` },
    t("download"),
  );
  row.append(play, download);
  return row;
}

/** A name of the API in the page's language, or as it is. @param {string} prefix @param {string} name */
function word(prefix, name) {
  const key = `${prefix}${name}`;
  return isText(key) ? t(key) : name;
}

/** @param {number} bytes */
function size(bytes) {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1000)} kB`;
}
