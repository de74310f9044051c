/**
 * Light, dark, or as the system has it.
 */

import { setIcon, setLabel } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { remember, settings } from "./settings.js";

/** In the order in which the button goes through them. */
const THEMES = /** @type {const} */ (["auto", "light", "dark"]);
const LOOK = {
  auto: { icon: "auto", label: /** @type {const} */ ("themeAuto") },
  light: { icon: "sun", label: /** @type {const} */ ("themeLight") },
  dark: { icon: "moon", label: /** @type {const} */ ("themeDark") },
};

/** @param {HTMLElement} button */
export function setUpTheme(button) {
  const show = () => {
    document.documentElement.dataset.theme = settings.theme;
    setIcon(button, LOOK[settings.theme].icon);
    setLabel(button, t(LOOK[settings.theme].label));
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(settings.theme) + 1) % THEMES.length];
    remember({ theme: next });
    show();
  });
  onLanguage(show);
}
