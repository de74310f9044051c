/**
 * A list whose rows stay: what is shown again keeps its element, and with it the keyboard's place.
 */

/**
 * @template Item
 */
export class Rows {
  #container;
  #key;
  #make;
  /** @type {Map<string, { element: HTMLElement, show: (item: Item) => void }>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} container
   * @param {(item: Item) => string} key
   * @param {(item: Item) => { element: HTMLElement, show: (item: Item) => void }} make
   */
  constructor(container, key, make) {
    this.#container = container;
    this.#key = key;
    this.#make = make;
  }

  /** @param {readonly Item[]} items */
  show(items) {
    const keys = new Set(items.map(this.#key));
    for (const [key, { element }] of this.#rows) {
      if (keys.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    let place = this.#container.firstElementChild;
    for (const item of items) {
      const key = this.#key(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      this.#rows.set(key, row);
      row.show(item);
      if (place === row.element) place = place.nextElementSibling;
      else this.#container.insertBefore(row.element, place);
    }
  }
}
