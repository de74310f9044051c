/**
 * One picture with its name: a participant's camera, or a shared screen.
 */

import { icon, make, setIcon, setLabel } from "../common/dom.js";
import { initials, tint } from "../common/person.js";
import { t } from "./i18n.js";

/**
 * What a tile shows.
 *
 * @typedef {object} TileState
 * @property {string} name
 * @property {boolean} self
 * @property {boolean} screen a shared screen, not a camera
 * @property {boolean} muted the microphone is off
 * @property {boolean} speaking
 * @property {boolean} interrupted no sign of life
 * @property {boolean} pinned
 */

export class Tile {
  /** @readonly */
  element;
  #identity;
  /** @type {HTMLVideoElement | null} */
  #video = null;
  #avatar = make("div", { class: "avatar", "aria-hidden": "true" });
  #micOff = icon("mic-off");
  #name = make("span", { class: "tile-name-text" });
  #note = make("p", { class: "tile-note" });
  #pin = make("button", { type: "button", class: "tile-pin" }, icon("pin"));
  #quality = make("button", { type: "button", class: "tile-pin tile-quality" }, icon("info"));

  /**
   * @param {string} identity
   * @param {() => void} onPin
   * @param {() => void} onQuality
   */
  constructor(identity, onPin, onQuality) {
    this.#identity = identity;
    this.#pin.addEventListener("click", onPin);
    this.#quality.addEventListener("click", onQuality);
    this.element = make(
      "li",
      { class: "tile" },
      this.#avatar,
      make("p", { class: "tile-name" }, this.#micOff, this.#name),
      this.#note,
      this.#quality,
      this.#pin,
    );
    this.#avatar.dataset.tint = String(tint(identity));
  }

  /** @param {TileState} state */
  show({ name, self, screen, muted, speaking, interrupted, pinned }) {
    const { element } = this;
    const shownName = screen ? (self ? t("yourScreen") : t("screenOf", { name })) : name;
    this.#name.textContent = self && !screen ? `${name} (${t("you")})` : shownName;
    this.#avatar.textContent = screen ? "" : initials(name);
    this.#micOff.toggleAttribute("hidden", !muted || screen);
    this.#note.textContent = interrupted ? t("reconnectingPeer") : "";
    setIcon(this.#pin, pinned ? "close" : "pin");
    setLabel(this.#pin, pinned ? t("unpin") : t("pin", { name: shownName }));
    this.#quality.toggleAttribute("hidden", self || !this.#video);
    setLabel(this.#quality, t("qualityOf", { name: shownName }));
    element.toggleAttribute("data-speaking", speaking && !screen);
    element.toggleAttribute("data-self", self);
    element.toggleAttribute("data-screen", screen);
    element.toggleAttribute("data-interrupted", interrupted);
    const facts = [this.#name.textContent ?? ""];
    if (muted && !screen) facts.push(t("muted"));
    if (!this.#video && !screen) facts.push(t("cameraOff"));
    element.setAttribute("aria-label", facts.join(", "));
  }

  /**
   * Shows a picture, or the initials when there is none.
   *
   * @param {((video: HTMLVideoElement) => void) | null} attach feeds the element
   * @param {{ self: boolean, screen: boolean }} what
   */
  setPicture(attach, { self, screen }) {
    this.#video?.remove();
    this.#video = null;
    this.element.removeAttribute("data-picture");
    if (!attach) return;
    const video = make("video", { playsinline: true, autoplay: true, "aria-hidden": "true" });
    video.muted = true;
    video.dataset.identity = this.#identity;
    video.dataset.source = screen ? "screen_share" : "camera";
    if (self) video.dataset.self = "";
    this.#video = video;
    // Initials stay until there is something to see: no black flash, no picture of somebody else.
    const reveal = () => {
      if (this.#video === video) this.element.setAttribute("data-picture", "");
    };
    if (self) video.addEventListener("loadeddata", reveal, { once: true });
    else this.reveal = reveal;
    this.element.prepend(video);
    attach(video);
  }

  /** To be called when the picture's first frame is there. */
  reveal = () => {};

  get video() {
    return this.#video;
  }
}
