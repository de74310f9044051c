/**
 * All pictures of a call and how they share the stage: a grid, two people face to face, or one
 * large picture (a shared screen, or whom the user chose) with the others in a strip.
 */

import { byId } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { fitGrid, tileAspect } from "./layout.js";
import { showQuality } from "./quality.js";
import { Tile } from "./tile.js";

/** @import { Largest } from "../../sdk/protocol.js" */
/** @import { LocalTrack, RemoteParticipant, RemoteTrack, Room } from "../../sdk/crosspoint.js" */
/** @import { Choice } from "./quality.js" */

/** Space between tiles in pixels, as in the style sheet. */
const GAP = 10;
/** Sizes are asked for in steps of this many pixels: not for each pixel of a window being resized. */
const SIZE_STEP = 40;

/** @typedef {{ tile: Tile, screen: boolean, participant: RemoteParticipant | null }} Entry */

export class Gallery {
  #room;
  #list = byId("tiles");
  #stage = byId("stage");
  /** By `camera:<identity>` or `screen:<identity>`. @type {Map<string, Entry>} */
  #entries = new Map();
  #pinned = "";
  /** What was last asked for, by track id, as JSON. @type {Map<string, string>} */
  #asked = new Map();
  /** What the user chose for a tile. @type {Map<string, Choice>} */
  #chosen = new Map();
  #hide = () => this.#askForSizes();
  #resize = new ResizeObserver(() => this.#arrange());

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    this.#resize.observe(this.#stage);
    document.addEventListener("visibilitychange", this.#hide);
    onLanguage(() => this.refresh());
  }

  /** How many other participants' tiles there are. */
  get others() {
    return this.#room.participants.size;
  }

  /** Brings all tiles to what the room is now. Cheap enough for every event. */
  refresh() {
    const local = this.#room.localParticipant;
    const present = new Set();
    const keep = (/** @type {string} */ key) => (present.add(key), key);
    if (this.#room.state !== "disconnected") {
      for (const participant of this.#room.participants.values()) {
        if (participant.track("screen_share")) {
          this.#remote(keep(`screen:${participant.identity}`), participant, true);
        }
      }
      if (local.track("screen_share")) this.#local(keep("screen:"), true);
      for (const participant of this.#room.participants.values()) {
        this.#remote(keep(`camera:${participant.identity}`), participant, false);
      }
      this.#local(keep("camera:"), false);
    }
    for (const [key, { tile }] of [...this.#entries]) {
      if (present.has(key)) continue;
      tile.setPicture(null, { self: false, screen: false });
      tile.element.remove();
      this.#entries.delete(key);
    }
    this.#arrange();
  }

  /**
   * A local camera or screen was published, switched or muted: shows it anew.
   *
   * @param {LocalTrack} track
   */
  refreshLocalPicture(track) {
    const entry = this.#entries.get(track.source === "screen_share" ? "screen:" : "camera:");
    if (entry) shown.delete(entry.tile);
    this.refresh();
  }

  /**
   * @param {string} key
   * @param {boolean} screen
   */
  #entry(key, screen) {
    let entry = this.#entries.get(key);
    if (!entry) {
      const identity = key.slice(key.indexOf(":") + 1) || this.#room.localParticipant.identity;
      const tile = new Tile(identity, () => this.#togglePin(key), () => this.#showQuality(key));
      entry = { tile, screen, participant: null };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /**
   * @param {string} key
   * @param {RemoteParticipant} participant
   * @param {boolean} screen
   */
  #remote(key, participant, screen) {
    const entry = this.#entry(key, screen);
    entry.participant = participant;
    const track = participant.track(screen ? "screen_share" : "camera");
    const visible = track && !track.muted && track.isSubscribed ? track : null;
    if (shown.get(entry.tile) !== (visible?.mediaStreamTrack ?? null)) {
      this.#showRemote(entry.tile, visible, screen);
    }
    entry.tile.show({
      name: participant.name,
      self: false,
      screen,
      muted: participant.track("microphone")?.muted ?? true,
      speaking: participant.speaking,
      interrupted: participant.info.state === "interrupted",
      pinned: this.#pinned === key,
    });
  }

  /**
   * @param {Tile} tile
   * @param {RemoteTrack | null} track
   * @param {boolean} screen
   */
  #showRemote(tile, track, screen) {
    const previous = attachments.get(tile);
    if (previous) previous();
    attachments.delete(tile);
    shown.set(tile, track?.mediaStreamTrack ?? null);
    if (!track) {
      tile.setPicture(null, { self: false, screen });
      return;
    }
    const off = track.on("firstFrame", () => {
      tile.reveal();
      this.refresh();
    });
    tile.setPicture((video) => track.attach(video), { self: false, screen });
    const { video } = tile;
    attachments.set(tile, () => {
      off();
      if (video) track.detach(video);
    });
  }

  /**
   * @param {string} key
   * @param {boolean} screen
   */
  #local(key, screen) {
    const { tile } = this.#entry(key, screen);
    const local = this.#room.localParticipant;
    const track = local.track(screen ? "screen_share" : "camera");
    const visible = track && track.isLive && track.mediaStreamTrack.readyState === "live" ? track : null;
    if (shown.get(tile) !== (visible?.mediaStreamTrack ?? null)) {
      shown.set(tile, visible?.mediaStreamTrack ?? null);
      tile.setPicture(visible && ((video) => visible.attach(video)), { self: true, screen });
    }
    tile.show({
      name: local.name,
      self: true,
      screen,
      muted: !local.track("microphone")?.isLive,
      speaking: local.speaking && Boolean(local.track("microphone")?.isLive),
      interrupted: false,
      pinned: this.#pinned === key,
    });
  }

  /** @param {string} key */
  #togglePin(key) {
    this.#pinned = this.#pinned === key ? "" : key;
    this.refresh();
  }

  /** Which tile is large, if any: the chosen one, else a screen, else the only other person. */
  #featured() {
    if (this.#entries.has(this.#pinned)) return this.#pinned;
    for (const [key, { screen }] of this.#entries) if (screen) return key;
    return "";
  }

  #arrange() {
    const featured = this.#featured();
    const keys = this.#order(featured);
    const layout = featured ? "stage" : keys.length === 2 ? "duo" : "grid";
    this.#list.dataset.layout = layout;
    this.#list.dataset.count = String(keys.length);
    keys.forEach((key, index) => {
      const element = this.#entries.get(key)?.tile.element;
      if (!element) return;
      // Moving an element restarts its video: only when it is out of place.
      if (this.#list.children[index] !== element) this.#list.insertBefore(element, this.#list.children[index] ?? null);
      element.toggleAttribute("data-featured", key === featured || (layout === "duo" && index === 0));
    });
    this.#list.style.setProperty("--others", String(Math.max(keys.length - 1, 1)));
    if (layout === "grid") this.#fit(keys.length);
    this.#askForSizes();
  }

  /** @param {string} featured */
  #order(featured) {
    const keys = [...this.#entries.keys()];
    const rank = (/** @type {string} */ key) =>
      key === featured ? 0 : key.startsWith("screen:") ? 1 : key === "camera:" ? 3 : 2;
    return keys.sort((a, b) => rank(a) - rank(b)); // stable: else in the order of arrival
  }

  /** @param {number} count */
  #fit(count) {
    const style = getComputedStyle(this.#list);
    const width = this.#list.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = this.#list.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const { tileWidth, tileHeight } = fitGrid(count, width, height, GAP, tileAspect(count, width, height));
    this.#list.style.setProperty("--tile-width", `${tileWidth}px`);
    this.#list.style.setProperty("--tile-height", `${tileHeight}px`);
  }

  /** Pictures come as large as they are shown, and not at all while nobody sees them. */
  #askForSizes() {
    for (const [key, { tile, screen, participant }] of this.#entries) {
      const track = participant?.track(screen ? "screen_share" : "camera");
      if (!track) continue;
      const wish = this.#wish(key, tile, screen);
      const words = JSON.stringify(wish);
      // What was hidden has no slot, and is to be asked for again.
      if (!wish || (!track.isSubscribed && track.wanted && wish.wanted !== false)) continue;
      if ((this.#asked.get(track.sid) ?? '{"largest":"best"}') === words) continue;
      this.#asked.set(track.sid, words);
      this.#room.subscribe(track, wish).catch(() => this.#asked.delete(track.sid));
    }
  }

  /**
   * @param {string} key
   * @param {Tile} tile
   * @param {boolean} screen
   * @returns {{ wanted?: boolean, largest?: Largest } | null} null: not known yet
   */
  #wish(key, tile, screen) {
    if (document.hidden) return { wanted: false };
    const chosen = this.#chosen.get(key) ?? "auto";
    if (chosen !== "auto") return { largest: chosen };
    const { clientWidth, clientHeight } = tile.element;
    if (clientHeight === 0) return null;
    if (screen) return { largest: "best" };
    const pixels = (/** @type {number} */ side) =>
      Math.min(Math.ceil((side * devicePixelRatio) / SIZE_STEP) * SIZE_STEP, 8192);
    return { largest: { width: pixels(clientWidth), height: pixels(clientHeight) } };
  }

  /** @param {string} key */
  #showQuality(key) {
    const entry = this.#entries.get(key);
    const track = entry?.participant?.track(entry.screen ? "screen_share" : "camera");
    if (!entry?.participant || !track) return;
    showQuality(track, entry.participant.name, this.#chosen.get(key) ?? "auto", (choice) => {
      this.#chosen.set(key, choice);
      this.#askForSizes();
    });
  }

  /** Ends it with the call. */
  close() {
    this.#resize.disconnect();
    document.removeEventListener("visibilitychange", this.#hide);
    for (const { tile } of this.#entries.values()) attachments.get(tile)?.();
    this.#entries.clear();
    this.#list.replaceChildren();
  }
}

/** What each tile shows now. @type {WeakMap<Tile, MediaStreamTrack | null>} */
const shown = new WeakMap();
/** How to end what a tile shows. @type {WeakMap<Tile, () => void>} */
const attachments = new WeakMap();
