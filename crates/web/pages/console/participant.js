/**
 * One participant of a room: charts of its connection, the tracks that it sends with pictures of
 * them, and those that it receives.
 */

import { part } from "../common/api.js";
import { make } from "../common/dom.js";
import { Chart, milliseconds, percent, rate } from "./chart.js";
import { explain } from "./explain.js";
import { isText, t } from "./i18n.js";
import { Table } from "./table.js";

/** @import { Api } from "../common/api.js" */

/** How often pictures are taken anew, in looks at the room. */
const PICTURE_LOOKS = 10;

/** Columns of both tables, behind the first. @type {import("./i18n.js").TextKey[]} */
const FIGURES = ["codec", "bitrate", "loss", "jitter", "frames"];

export class ParticipantCard {
  #charts = {
    bitrateUp: new Chart({ format: rate, floor: 100 }),
    bitrateDown: new Chart({ format: rate, floor: 100 }),
    loss: new Chart({ format: percent, floor: 0.05, tone: "warn" }),
    rtt: new Chart({ format: milliseconds, floor: 50, tone: "warn" }),
    mos: new Chart({ format: (value) => value.toFixed(2), floor: 4.5 }),
    layer: new Chart({ format: (value) => String(value), floor: 2 }),
  };
  #name = make("h2", {});
  #state = make("span", { class: "state" });
  #kick = make("button", { type: "button", class: "text-button danger" });
  #sends = new Table(["track", ...FIGURES], "nothingSent");
  #receives = new Table(["from", ...FIGURES], "nothingReceived");
  #sendsTitle = make("h3", {});
  #receivesTitle = make("h3", {});
  #pictures = make("div", { class: "pictures" });
  /** @type {Map<string, { element: HTMLElement, image: HTMLImageElement, looks: number }>} */
  #snapshots = new Map();
  /** @type {any} */
  #who = null;
  /** @type {any} */
  #report = null;
  /** @type {Map<string, string>} */
  #names = new Map();
  #api;
  #room;
  #say;

  /**
   * @param {Api} api
   * @param {string} room
   * @param {(text: string, kind?: "error") => void} say
   */
  constructor(api, room, say) {
    this.#api = api;
    this.#room = room;
    this.#say = say;
    const charts = make("div", { class: "charts" });
    charts.append(...Object.values(this.#charts).map((chart) => chart.element));
    this.element = make(
      "article",
      { class: "person" },
      make("header", {}, this.#name, this.#state, make("span", { class: "bar-space" }), this.#kick),
      charts,
      this.#pictures,
      this.#sendsTitle,
      this.#sends.element,
      this.#receivesTitle,
      this.#receives.element,
    );
    this.#kick.addEventListener("click", () => void this.#remove());
    this.translate();
  }

  /**
   * @param {any} who
   * @param {any} report null before its media is measured
   * @param {Map<string, string>} names of everybody, by identity
   */
  update(who, report, names) {
    [this.#who, this.#report, this.#names] = [who, report, names];
    this.#push(report);
    this.#fill();
    this.#renewPictures();
  }

  translate() {
    for (const [key, chart] of Object.entries(this.#charts)) {
      if (isText(key)) chart.name = t(key);
    }
    this.#kick.textContent = t("kick");
    this.#sendsTitle.textContent = t("sends");
    this.#receivesTitle.textContent = t("receives");
    this.#sends.translate();
    this.#receives.translate();
    if (this.#who) this.#fill();
  }

  close() {
    for (const { image } of this.#snapshots.values()) URL.revokeObjectURL(image.src);
    this.element.remove();
  }

  /** @param {any} report */
  #push(report) {
    const pair = report?.iceCandidatePair;
    const tracks = [...(report?.senders ?? []), ...(report?.receivers ?? [])];
    const worst = tracks.map((track) => track.packetsLostRate).filter((rate) => rate !== null);
    const seen = (report?.receivers ?? [])
      .filter((/** @type {any} */ track) => track.kind === "video" && track.layer !== null)
      .map((/** @type {any} */ track) => track.layer);
    this.#charts.bitrateUp.push(pair?.bitrateSend);
    this.#charts.bitrateDown.push(pair?.bitrateRecv);
    this.#charts.loss.push(worst.length > 0 ? Math.max(...worst) : null);
    this.#charts.rtt.push(pair?.rtt);
    this.#charts.mos.push(report?.mos);
    this.#charts.layer.push(seen.length > 0 ? Math.max(...seen) : null);
  }

  #fill() {
    const who = this.#who;
    this.#name.textContent = who.name || who.identity;
    const state = isText(who.state) ? t(who.state) : who.state;
    const pair = this.#report?.iceCandidatePair;
    const path = pair ? ` · ${pair.IP} · ${pair.protocol.toUpperCase()}` : "";
    this.#state.textContent = `${state}${who.permissions.hidden ? ` · ${t("hidden")}` : ""}${path}`;
    this.#state.dataset.state = who.state;
    this.#fillSends(who.tracks, this.#report?.senders ?? []);
    this.#fillReceives(this.#report?.receivers ?? []);
  }

  /** @param {any[]} tracks @param {any[]} senders */
  #fillSends(tracks, senders) {
    const bySid = new Map(senders.map((sender) => [sender.trackId, sender]));
    this.#sends.show(tracks.map((track) => {
      const stat = bySid.get(track.sid);
      const codec = [track.codec ?? "–", layers(stat)].filter(Boolean).join(" ");
      const bitrate = track.muted ? t("muted") : rate(stat?.bitrate ?? 0);
      return {
        key: track.sid,
        cells: [sourceOf(track), codec, bitrate, ...lossAndJitter(stat), quality(stat)],
        action: track.muted ? "unmute" : "mute",
        run: () => void this.#mute(track),
      };
    }));
  }

  /** @param {any[]} receivers */
  #fillReceives(receivers) {
    this.#receives.show(receivers.map((stat) => {
      const from = this.#names.get(stat.identity) ?? stat.identity;
      const video = stat.kind === "video";
      const name = `${from} · ${t(video ? "camera" : "microphone")}`;
      return {
        key: stat.id,
        cells: [name, stat.codec ?? "–", rate(stat.bitrate), ...lossAndJitter(stat), quality(stat)],
        action: video ? "why" : undefined,
        run: () => void this.#explain(stat),
      };
    }));
  }

  #renewPictures() {
    const videos = this.#who.tracks.filter((/** @type {any} */ track) => track.kind === "video");
    const present = new Set(videos.map((/** @type {any} */ track) => track.sid));
    for (const [sid, { element, image }] of this.#snapshots) {
      if (present.has(sid)) continue;
      URL.revokeObjectURL(image.src);
      element.remove();
      this.#snapshots.delete(sid);
    }
    for (const track of videos) {
      let shot = this.#snapshots.get(track.sid);
      if (!shot) {
        const image = make("img", { alt: "" });
        const words = make("figcaption", {});
        shot = { element: make("figure", {}, image, words), image, looks: 0 };
        this.#snapshots.set(track.sid, shot);
        this.#pictures.append(shot.element);
      }
      const caption = shot.element.querySelector("figcaption");
      if (caption && shot.image.src) caption.textContent = sourceOf(track);
      if (shot.looks === 0 && !track.muted) void this.#takePicture(track, shot);
      shot.looks = (shot.looks + 1) % PICTURE_LOOKS;
    }
  }

  /** @param {any} track @param {{ element: HTMLElement, image: HTMLImageElement }} shot */
  async #takePicture(track, { element, image }) {
    const path = `v1/rooms/${part(this.#room)}/tracks/${part(track.sid)}/snapshot?format=webp`;
    const caption = element.querySelector("figcaption");
    try {
      const picture = URL.createObjectURL(await this.#api.blob(path));
      URL.revokeObjectURL(image.src);
      image.src = picture;
      image.alt = t("snapshotOf", { who: this.#who.name || this.#who.identity });
      if (caption) caption.textContent = sourceOf(track);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (caption) caption.textContent = t("snapshotFailed", { why });
    }
  }

  /** @param {any} track */
  async #mute(track) {
    const path = `v1/rooms/${part(this.#room)}/tracks/${part(track.sid)}`;
    await this.#try(() => this.#api.patch(path, { muted: !track.muted }));
  }

  async #remove() {
    const who = this.#who.name || this.#who.identity;
    if (!confirm(t("kickSure", { who }))) return;
    const path = `v1/rooms/${part(this.#room)}/participants/${part(this.#who.identity)}`;
    await this.#try(() => this.#api.delete(path));
  }

  /** @param {any} stat */
  async #explain(stat) {
    await explain(this.#api, this.#room, this.#who, stat.trackId);
  }

  /** @param {() => Promise<unknown>} action */
  async #try(action) {
    try {
      await action();
      this.#say(t("done"));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#say(t("actionFailed", { why }), "error");
    }
  }
}

/** What a track shows, in words. @param {{ source: string }} track */
function sourceOf(track) {
  return isText(track.source) ? t(track.source) : track.source;
}

/** The bitrates of a sender's layers. @param {any} stat */
function layers(stat) {
  const encodings = stat?.encodings ?? [];
  if (encodings.length < 2) return "";
  const rates = encodings.map((/** @type {any} */ e) => (e.active ? Math.round(e.bitrate) : "–"));
  return `(${rates.join(" / ")})`;
}

/** Frames and layer of video, score of audio. @param {any} stat */
function quality(stat) {
  if (!stat) return "–";
  if (stat.kind === "audio") return stat.mos === null ? "–" : `MOS ${stat.mos.toFixed(2)}`;
  const layer = stat.layer === null ? "" : ` · ${t("layer")} ${stat.layer}`;
  return `${Math.round(stat.frameRate ?? 0)} fps${layer}`;
}

/** @param {any} stat */
function lossAndJitter(stat) {
  const known = (/** @type {unknown} */ value) => value !== null && value !== undefined;
  return [
    known(stat?.packetsLostRate) ? percent(stat.packetsLostRate) : "–",
    known(stat?.jitter) ? milliseconds(stat.jitter) : "–",
  ];
}
