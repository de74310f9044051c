/**
 * Name of the device that a page is: the same again after a reload, so that a call can go on, and
 * another one in each tab.
 *
 * @param {string} key where the tab keeps it
 */
export function deviceName(key) {
  try {
    const name = sessionStorage.getItem(key) ?? fresh();
    sessionStorage.setItem(key, name);
    return name;
  } catch {
    return fresh(); // no storage here
  }
}

/** `crypto.randomUUID` is for secure origins only, and elsewhere a call shall fail for its devices. */
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
