/**
 * A small chart of one value over the last minute, with its present value in words.
 */

import { make } from "../common/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const POINTS = 60;
const WIDTH = 118;
const HEIGHT = 30;

export class Chart {
  /** @type {(number | null)[]} */
  #values = [];
  #line = document.createElementNS(SVG, "path");
  #area = document.createElementNS(SVG, "path");
  #value = make("b", {});
  #name = make("span", {});
  #format;
  #floor;

  /**
   * @param {object} options
   * @param {(value: number) => string} options.format
   * @param {number} [options.floor] the scale's top is at least this
   * @param {string} [options.tone] `warn` for what is better low
   */
  constructor({ format, floor = 1, tone = "plain" }) {
    this.#format = format;
    this.#floor = floor;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.#area.setAttribute("class", "chart-area");
    this.#line.setAttribute("class", "chart-line");
    svg.append(this.#area, this.#line);
    const words = make("div", { class: "chart-words" }, this.#name, this.#value);
    this.element = make("div", { class: "chart", "data-tone": tone }, words);
    this.element.append(svg);
  }

  /** @param {string} name */
  set name(name) {
    this.#name.textContent = name;
  }

  /** Adds the value of this second. @param {number | null | undefined} value */
  push(value) {
    const known = typeof value === "number" && Number.isFinite(value) ? value : null;
    this.#values.push(known);
    if (this.#values.length > POINTS) this.#values.shift();
    this.#value.textContent = known === null ? "–" : this.#format(known);
    this.#draw();
  }

  #draw() {
    const top = Math.max(this.#floor, ...this.#values.map((value) => value ?? 0)) * 1.08;
    const step = WIDTH / (POINTS - 1);
    const first = POINTS - this.#values.length;
    let line = "";
    let area = "";
    let begun = -1;
    const at = (/** @type {number} */ i) => ((first + i) * step).toFixed(1);
    this.#values.forEach((value, i) => {
      if (value === null) {
        if (begun >= 0) area += `L${at(i - 1)} ${HEIGHT}L${at(begun)} ${HEIGHT}Z`;
        begun = -1;
        return;
      }
      const y = (HEIGHT - (value / top) * (HEIGHT - 2) - 1).toFixed(1);
      const command = begun < 0 ? "M" : "L";
      if (begun < 0) begun = i;
      line += `${command}${at(i)} ${y}`;
      area += `${command}${at(i)} ${y}`;
    });
    if (begun >= 0) {
      area += `L${at(this.#values.length - 1)} ${HEIGHT}L${at(begun)} ${HEIGHT}Z`;
    }
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", area);
  }
}

/** @param {number} kbps */
export function rate(kbps) {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(2)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}

/** @param {number} share 0 to 1 */
export function percent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** @param {number} value */
export function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
