/**
 * Choosing camera, microphone, speaker and picture size: the same fields in lobby and call.
 */

import { canChooseSpeaker, listDevices, watchDevices } from "../../sdk/crosspoint.js";
import { icon, make } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { remember, settings } from "../common/settings.js";
import { t } from "./i18n.js";

/** @typedef {"camera" | "microphone" | "speaker" | "quality"} Choice */

const FIELDS = /** @type {const} */ ([
  { choice: "camera", icon: "cam" },
  { choice: "microphone", icon: "mic" },
  { choice: "speaker", icon: "speaker" },
  { choice: "quality", icon: "screen" },
]);

export class DeviceFields {
  /** @type {Map<Choice, HTMLSelectElement>} */
  #selects = new Map();
  #container;

  /**
   * @param {HTMLElement} container
   * @param {(choice: Choice, value: string) => void} onChoice already remembered
   */
  constructor(container, onChoice) {
    this.#container = container;
    for (const { choice, icon: name } of FIELDS) {
      if (choice === "speaker" && !canChooseSpeaker()) continue;
      const select = make("select", {});
      select.addEventListener("change", () => {
        remember({ [choice]: select.value });
        onChoice(choice, select.value);
      });
      this.#selects.set(choice, select);
      const caption = make("span", { "data-t": choice });
      container.append(make("label", { class: "device" }, icon(name), caption, select));
    }
    watchDevices(() => void this.refresh());
    onLanguage(() => void this.refresh());
  }

  /** Asks the browser what there is; to be called again when a permission was given. */
  async refresh() {
    const quality = this.#selects.get("quality");
    for (const [choice, select] of this.#selects) select.setAttribute("aria-label", t(choice));
    if (quality) {
      fill(quality, [["standard", t("qualityStandard")], ["high", t("qualityHigh")]], settings.quality);
    }
    let list;
    try {
      list = await listDevices();
    } catch {
      this.#container.hidden = true; // insecure page: there is nothing to choose from
      return;
    }
    this.#offer("camera", list.cameras);
    this.#offer("microphone", list.microphones);
    this.#offer("speaker", list.speakers);
  }

  /**
   * @param {"camera" | "microphone" | "speaker"} choice
   * @param {MediaDeviceInfo[]} devices
   */
  #offer(choice, devices) {
    const select = this.#selects.get(choice);
    if (!select) return;
    const kind = t(choice);
    /** @type {[string, string][]} */
    const options = devices.map((device, index) => [
      device.deviceId,
      device.label || t("deviceNumber", { kind, number: index + 1 }),
    ]);
    select.disabled = options.length === 0;
    fill(select, options.length ? options : [["", t("deviceNone")]], settings[choice]);
  }
}

/**
 * @param {HTMLSelectElement} select
 * @param {[value: string, text: string][]} options
 * @param {string} chosen
 */
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
}
