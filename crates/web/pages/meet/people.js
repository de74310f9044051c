/**
 * The list of who is here.
 */

import { byId, icon, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { initials, tint } from "../common/person.js";
import { t } from "./i18n.js";

/** @import { LocalParticipant, RemoteParticipant, Room } from "../../sdk/crosspoint.js" */

export class People {
  #room;
  #list = byId("people");

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    onLanguage(() => this.refresh());
  }

  refresh() {
    const others = [...this.#room.participants.values()];
    others.sort((a, b) => a.name.localeCompare(b.name));
    this.#list.replaceChildren(...[this.#room.localParticipant, ...others].map(row));
    const count = String(others.length + 1);
    byId("people-count").textContent = count;
    byId("people-badge").textContent = count;
  }
}

/** @param {LocalParticipant | RemoteParticipant} participant */
function row(participant) {
  const { micOn, camOn } = devices(participant);
  const facts = [];
  if (!micOn) facts.push(t("muted"));
  if (!camOn) facts.push(t("cameraOff"));
  if (participant.speaking) facts.push(t("speaking"));
  const name = make("span", { class: "person-name" }, participant.name);
  if (participant.isLocal) name.append(make("small", {}, ` (${t("you")})`));
  return make(
    "li",
    { class: "person", "data-speaking": participant.speaking },
    make(
      "span",
      { class: "avatar", "aria-hidden": "true", "data-tint": String(tint(participant.identity)) },
      initials(participant.name),
    ),
    name,
    make("span", { class: "sr-only" }, facts.join(", ")),
    icon(micOn ? "mic" : "mic-off"),
    icon(camOn ? "cam" : "cam-off"),
  );
}

/** @param {LocalParticipant | RemoteParticipant} participant */
function devices(participant) {
  if (participant.isLocal) {
    return {
      micOn: participant.track("microphone")?.isLive ?? false,
      camOn: participant.track("camera")?.isLive ?? false,
    };
  }
  const mic = participant.track("microphone");
  const cam = participant.track("camera");
  return { micOn: Boolean(mic && !mic.muted), camOn: Boolean(cam && !cam.muted) };
}
