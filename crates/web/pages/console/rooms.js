/**
 * The list of rooms: found by name, ordered by how many people are there, rows kept from one look to
 * the next so that hundreds of them neither flicker nor lose the keyboard's place.
 */

import { byId, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { t } from "./i18n.js";

/** @typedef {{ name: string, sid: string, numParticipants: number, createdAt: string }} Room */

export class RoomList {
  /** @type {Map<string, { row: HTMLLIElement, button: HTMLButtonElement, count: HTMLElement }>} */
  #rows = new Map();
  /** @type {Room[]} */
  #rooms = [];
  #selected = "";
  #list = byId("room-list");
  #search = /** @type {HTMLInputElement} */ (byId("room-search"));
  #choose;

  /** @param {(room: string) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    this.#search.addEventListener("input", () => this.#arrange());
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    onLanguage(() => this.#arrange());
  }

  /** @param {Room[]} rooms */
  show(rooms) {
    this.#rooms = [...rooms].sort(
      (a, b) => b.numParticipants - a.numParticipants || a.name.localeCompare(b.name),
    );
    byId("count-rooms").textContent = String(rooms.length);
    this.#arrange();
  }

  /** @param {string} room */
  select(room) {
    this.#selected = room;
    this.#arrange();
  }

  #arrange() {
    const wanted = this.#search.value.trim().toLowerCase();
    const shown = this.#rooms.filter((room) => room.name.toLowerCase().includes(wanted));
    const names = new Set(shown.map((room) => room.name));
    for (const [name, { row }] of this.#rows) {
      if (names.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    let place = this.#list.firstElementChild;
    for (const room of shown) {
      const { row, button, count } = this.#row(room.name);
      count.textContent = String(room.numParticipants);
      count.setAttribute("aria-label", people(room.numParticipants));
      count.toggleAttribute("data-none", room.numParticipants === 0);
      if (room.name === this.#selected) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      if (place === row) place = row.nextElementSibling;
      else this.#list.insertBefore(row, place);
    }
    const empty = byId("rooms-empty");
    empty.hidden = shown.length > 0;
    empty.textContent = t(this.#rooms.length === 0 ? "noRooms" : "noMatch");
  }

  /** @param {string} name */
  #row(name) {
    const known = this.#rows.get(name);
    if (known) return known;
    const count = make("span", { class: "room-count" });
    const button = make("button", { type: "button" }, make("span", { class: "room-name" }, name), count);
    button.addEventListener("click", () => this.#choose(name));
    const made = { row: make("li", {}, button), button, count };
    this.#rows.set(name, made);
    return made;
  }

  /** Arrow keys go from row to row. @param {KeyboardEvent} event */
  #walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const row = document.activeElement?.closest("li");
    if (!step || !row) return;
    event.preventDefault();
    const next = step === "nextElementSibling" ? row.nextElementSibling : row.previousElementSibling;
    next?.querySelector("button")?.focus();
  }
}

/** @param {number} n */
export function people(n) {
  return n === 1 ? t("participant") : t("participants", { n });
}
