/**
 * The pictures of a call: one large (a shared screen, else the customer, else the other side), the
 * others beside it.
 */

import { icon, make } from "../common/dom.js";
import { initials, tint } from "../common/person.js";
import { t } from "./i18n.js";

/** @import { Room } from "../../sdk/crosspoint.js" */
/** @import { LocalTrack, RemoteTrack } from "../../sdk/tracks.js" */
/** @import { CallView } from "../../sdk/calls/types.js" */

/**
 * @typedef {object} Picture
 * @property {string} key
 * @property {string} user
 * @property {string} name
 * @property {boolean} self
 * @property {boolean} screen
 * @property {boolean} muted
 * @property {string} note said across the picture; empty: nothing
 * @property {LocalTrack | RemoteTrack | null} track
 */

export class Stage {
  #element;
  /** @type {Room | null} */
  #room = null;
  /** @type {CallView | null} */
  #call = null;
  #me = "";
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {(() => void)[]} */
  #offs = [];

  /** @param {HTMLElement} element a list */
  constructor(element) {
    this.#element = element;
  }

  /** @param {Room | null} room whose pictures to show from now on; `null`: none */
  attach(room) {
    for (const off of this.#offs.splice(0)) off();
    this.#room = room;
    const refresh = () => this.refresh();
    if (room) {
      for (const name of /** @type {const} */ ([
        "participantJoined", "participantLeft", "participantUpdated", "trackPublished", "trackUnpublished",
        "trackSubscribed", "trackUnsubscribed", "trackMuted", "localTrackPublished", "localTrackUnpublished",
        "localTrackMuted", "localTrackSwitched", "stateChanged",
      ])) this.#offs.push(room.on(name, refresh));
    }
    this.refresh();
  }

  /** @param {CallView | null} call who is who @param {string} me */
  show(call, me) {
    this.#call = call;
    this.#me = me;
    this.refresh();
  }

  refresh() {
    const pictures = this.#pictures();
    const keys = new Set(pictures.map(({ key }) => key));
    for (const [key, tile] of this.#tiles) {
      if (keys.has(key)) continue;
      tile.element.remove();
      this.#tiles.delete(key);
    }
    const featured = this.#featured(pictures);
    for (const picture of pictures) {
      let tile = this.#tiles.get(picture.key);
      if (!tile) {
        tile = new Tile(picture.user);
        this.#tiles.set(picture.key, tile);
        this.#element.append(tile.element);
      }
      tile.show(picture);
      tile.element.toggleAttribute("data-featured", picture === featured);
    }
    this.#element.dataset.count = String(pictures.length);
  }

  /** @returns {Picture[]} */
  #pictures() {
    const room = this.#room;
    if (!room) return [];
    /** @type {Picture[]} */
    const pictures = [];
    for (const other of room.participants.values()) {
      const seen = this.#participant(other.identity);
      const name = seen?.person.name || other.name;
      const camera = other.track("camera");
      const screen = other.track("screen_share");
      const held = seen?.held ?? false;
      const note = held ? t("onHold") : seen?.state === "reconnecting" ? t("away") : "";
      const muted = other.track("microphone")?.muted ?? true;
      const track = camera && !camera.muted && !held ? camera : null;
      const who = { user: other.identity, name, self: false };
      pictures.push({ key: `camera:${other.identity}`, ...who, screen: false, muted, note, track });
      if (screen) pictures.push({ key: `screen:${other.identity}`, ...who, screen: true, muted: false, note: "", track: screen });
    }
    const own = room.localParticipant;
    const camera = own.track("camera");
    const microphone = own.track("microphone");
    if (camera || microphone) {
      const held = this.#participant(this.#me)?.held ?? false;
      const track = camera?.isLive ? camera : null;
      pictures.push({
        key: "self", user: this.#me, name: t("you"), self: true, screen: false, muted: !microphone?.isLive,
        note: held ? t("youAreHeld") : "", track,
      });
    }
    return pictures;
  }

  /** @param {string} user */
  #participant(user) {
    return this.#call?.participants.find((each) => each.person.user === user);
  }

  /** @param {Picture[]} pictures */
  #featured(pictures) {
    const others = pictures.filter(({ self }) => !self);
    return others.find(({ screen }) => screen)
      ?? others.find(({ user }) => this.#participant(user)?.role === "guest")
      ?? others[0] ?? pictures[0];
  }
}

class Tile {
  /** @readonly */
  element;
  #avatar = make("div", { class: "avatar", "aria-hidden": "true" });
  #video = make("video", { playsinline: true, autoplay: true, "aria-hidden": "true" });
  #name = make("span", {});
  #micOff = icon("mic-off");
  #note = make("p", { class: "tile-note" });
  /** @type {LocalTrack | RemoteTrack | null} */
  #track = null;
  /** @type {MediaStreamTrack | null} */
  #media = null;

  /** @param {string} user */
  constructor(user) {
    this.#avatar.dataset.tint = String(tint(user));
    this.#video.muted = true;
    this.#video.dataset.user = user;
    const caption = make("p", { class: "tile-name" }, this.#micOff, this.#name);
    this.element = make("li", { class: "tile" }, this.#video, this.#avatar, this.#note, caption);
  }

  /** @param {Picture} picture */
  show({ name, self, screen, muted, note, track }) {
    this.#name.textContent = screen ? t("screenOf", { name }) : name;
    this.#avatar.textContent = screen ? "" : initials(name);
    this.#micOff.toggleAttribute("hidden", !muted || screen);
    this.#note.textContent = note;
    this.element.toggleAttribute("data-self", self);
    this.element.toggleAttribute("data-screen", screen);
    this.element.toggleAttribute("data-picture", track !== null);
    this.element.setAttribute("aria-label", [this.#name.textContent, note].filter(Boolean).join(", "));
    const media = track?.mediaStreamTrack ?? null;
    if (track === this.#track && media === this.#media) return;
    if (this.#track && "detach" in this.#track) this.#track.detach(this.#video);
    this.#track = track;
    this.#media = media;
    if (track) track.attach(this.#video);
    else this.#video.srcObject = null;
  }
}
