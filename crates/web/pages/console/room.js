/**
 * One room: who is in it, what they send and receive, how well, and what can be done about it.
 */

import { part, Problem } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { timeOfDay, t } from "./i18n.js";
import { ParticipantCard } from "./participant.js";
import { people } from "./rooms.js";

/** @import { Api } from "../common/api.js" */

export class RoomView {
  /** @type {Map<string, ParticipantCard>} by the id of the stay */
  #cards = new Map();
  #name = "";
  #recording = "";
  #element = byId("room");
  #api;
  #say;
  #title = make("h1", {});
  #about = make("p", { class: "room-about" });
  #record = make("button", { type: "button", class: "secondary small" });
  #end = make("button", { type: "button", class: "secondary small danger" });
  #head = make(
    "header",
    { class: "room-head" },
    make("div", {}, this.#title, this.#about),
    make("div", { class: "room-actions" }, this.#record, this.#end),
  );
  #people = make("div", { class: "people" });
  #note = make("p", { class: "empty" });

  /**
   * @param {Api} api
   * @param {(text: string, kind?: "error") => void} say
   */
  constructor(api, say) {
    this.#api = api;
    this.#say = say;
    this.#element.append(this.#head, this.#note, this.#people);
    this.#record.addEventListener("click", () => void this.#toggleRecording());
    this.#end.addEventListener("click", () => void this.#endRoom());
    onLanguage(() => {
      this.#end.textContent = t("endRoom");
      this.#record.textContent = t(this.#recording ? "stopRecording" : "record");
      if (!this.#name) this.#note.textContent = t("chooseRoom");
      for (const card of this.#cards.values()) card.translate();
    });
    this.#show("");
  }

  get name() {
    return this.#name;
  }

  /** Shows another room. @param {string} name */
  open(name) {
    if (name === this.#name) return;
    this.#show(name);
    void this.refresh();
    void this.#findRecording(name);
  }

  /** Looks again at the room that is shown. */
  async refresh() {
    const name = this.#name;
    if (!name) return;
    const path = `v1/rooms/${part(name)}`;
    try {
      const [room, { participants }, report] = await Promise.all([
        this.#api.get(path),
        this.#api.get(`${path}/participants`),
        this.#api.get(`${path}/reports`),
      ]);
      if (name === this.#name) this.#update(room, participants, report);
    } catch (error) {
      if (name !== this.#name) return;
      if (error instanceof Problem && error.status === 404) {
        this.#show("");
        this.#note.textContent = t("roomGone");
      }
    }
  }

  /** @param {string} name */
  #show(name) {
    this.#name = name;
    this.#setRecording("");
    for (const card of this.#cards.values()) card.close();
    this.#cards.clear();
    this.#people.replaceChildren();
    this.#title.textContent = name;
    this.#about.textContent = "";
    this.#head.hidden = !name;
    this.#note.hidden = Boolean(name);
    this.#note.textContent = t("chooseRoom");
  }

  /** @param {any} room @param {any[]} participants @param {any} report */
  #update(room, participants, report) {
    const since = t("since", { time: timeOfDay(room.createdAt) });
    this.#about.textContent = `${people(room.numParticipants)} · ${since} · ${room.sid}`;
    const names = new Map(participants.map((who) => [who.identity, who.name || who.identity]));
    /** @type {Map<string, any>} */
    const measured = new Map(report.participants.map((/** @type {any} */ r) => [r.sid, r]));
    const here = new Set(participants.map((who) => who.sid));
    for (const [sid, card] of this.#cards) {
      if (here.has(sid)) continue;
      card.close();
      this.#cards.delete(sid);
    }
    for (const who of participants) {
      let card = this.#cards.get(who.sid);
      if (!card) {
        card = new ParticipantCard(this.#api, this.#name, this.#say);
        this.#cards.set(who.sid, card);
        this.#people.append(card.element);
      }
      card.update(who, measured.get(who.sid) ?? null, names);
    }
  }

  /** Whether it is being recorded already. @param {string} name */
  async #findRecording(name) {
    try {
      const { recordings } = await this.#api.get(`v1/recordings?room=${part(name)}`);
      const running = recordings.find((/** @type {any} */ r) => r.state === "recording");
      if (running && name === this.#name) this.#setRecording(running.id);
    } catch {
      // Recording is switched off: the button says so when it is used.
    }
  }

  /** @param {string} id empty: none */
  #setRecording(id) {
    this.#recording = id;
    this.#record.textContent = t(id ? "stopRecording" : "record");
  }

  async #toggleRecording() {
    const path = this.#recording
      ? `v1/recordings/${part(this.#recording)}/stop`
      : `v1/rooms/${part(this.#name)}/recordings`;
    try {
      const answer = await this.#api.post(path);
      this.#setRecording(this.#recording ? "" : String(answer?.id ?? ""));
      this.#say(t(this.#recording ? "recordingStarted" : "done"));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #endRoom() {
    if (!confirm(t("endRoomSure", { room: this.#name }))) return;
    try {
      await this.#api.delete(`v1/rooms/${part(this.#name)}`);
      this.#show("");
      this.#note.textContent = t("roomGone");
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    const why = error instanceof Error ? error.message : String(error);
    this.#say(t("actionFailed", { why }), "error");
  }
}
