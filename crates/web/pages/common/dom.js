/**
 * Small helpers to find and make elements. Text always goes in as text, never as markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * The element with this id, which the page certainly has.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (element);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | boolean>} attributes `true` sets it empty, `false` leaves it out
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * One of the page's pictograms.
 *
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Changes the pictogram that an element has.
 *
 * @param {Element} element
 * @param {string} name
 */
export function setIcon(element, name) {
  element.querySelector("use")?.setAttribute("href", `#i-${name}`);
}

/**
 * Says what a button does, to eyes (tooltip) and screen readers.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setLabel(element, text) {
  element.setAttribute("aria-label", text);
  element.setAttribute("title", text);
}
