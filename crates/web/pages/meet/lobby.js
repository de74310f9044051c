/**
 * The lobby: see and hear oneself, say who one is and where to go.
 */

import { isCrosspointError, LevelMeter, openCamera, openCameraAndMicrophone, openMicrophone } from "../../sdk/crosspoint.js";
import { deviceProblem } from "../common/device-problems.js";
import { byId, make, setIcon, setLabel } from "../common/dom.js";
import { onLanguage } from "../common/i18n.js";
import { pictureSize, remember, settings } from "../common/settings.js";
import { DeviceFields } from "./device-fields.js";
import { t } from "./i18n.js";

/** @import { TextKey } from "./i18n.js" */
/** @import { Choice } from "./device-fields.js" */

/** @typedef {"camera" | "microphone"} Device */

/**
 * @typedef {object} Entry what the user decided
 * @property {string} name
 * @property {string} room
 * @property {string} token empty: none was asked for
 */

export class Lobby {
  /** What is open, for the call to take over. @type {Record<Device, MediaStreamTrack | null>} */
  tracks = { camera: null, microphone: null };
  #form = /** @type {HTMLFormElement} */ (byId("join-form"));
  #name = /** @type {HTMLInputElement} */ (byId("name"));
  #roomField = /** @type {HTMLInputElement} */ (byId("room"));
  #token = /** @type {HTMLInputElement} */ (byId("token"));
  #joinButton = /** @type {HTMLButtonElement} */ (byId("join-button"));
  #video = /** @type {HTMLVideoElement} */ (byId("preview-video"));
  #devices;
  /** What is wrong with a device, by error type. @type {Partial<Record<Device, string>>} */
  #problems = {};
  /** @type {LevelMeter | null} */
  #meter = null;
  #starting = false;
  #busy = false;
  /** Devices are opened one change after the other. @type {Promise<void>} */
  #turn = Promise.resolve();

  /** @param {(entry: Entry) => void} onJoin */
  constructor(onJoin) {
    this.#devices = new DeviceFields(byId("lobby-devices"), (choice) => this.#onChoice(choice));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const entry = this.#entry();
      if (entry && !this.#busy) onJoin(entry);
    });
    byId("lobby-mic").addEventListener("click", () => this.#toggle("microphone"));
    byId("lobby-cam").addEventListener("click", () => this.#toggle("camera"));
    onLanguage(() => this.#show());
  }

  /**
   * Shows it and opens the devices.
   *
   * @param {{ name: string, room: string, roomFixed: boolean }} given
   */
  async open({ name, room, roomFixed }) {
    this.#name.value = name;
    this.#roomField.value = room;
    this.#roomField.readOnly = roomFixed;
    this.setBusy(false);
    await this.openDevices();
    (name ? this.#joinButton : this.#name).focus({ preventScroll: true });
  }

  /** Opens what is switched on. Never throws: what is missing is shown. */
  openDevices() {
    return this.#inTurn(async () => {
      this.#starting = true;
      this.#show();
      const camera = { deviceId: settings.camera, ...pictureSize() };
      const microphone = { deviceId: settings.microphone };
      if (settings.camOn && settings.micOn) {
        const opened = await openCameraAndMicrophone(camera, microphone);
        this.#take("camera", opened.camera, opened.cameraError?.type);
        this.#take("microphone", opened.microphone, opened.microphoneError?.type);
      } else {
        if (settings.camOn) await this.#open("camera");
        if (settings.micOn) await this.#open("microphone");
      }
      this.#starting = false;
      this.#show();
      await this.#devices.refresh();
    });
  }

  /** Hands the open devices over to the call, which closes them. */
  release() {
    const tracks = this.tracks;
    this.#meter?.close();
    this.#meter = null;
    this.#video.srcObject = null;
    this.tracks = { camera: null, microphone: null };
    return { tracks, problems: this.#problems };
  }

  /** @param {boolean} busy joining is under way */
  setBusy(busy) {
    this.#busy = busy;
    this.#joinButton.setAttribute("aria-disabled", String(busy));
    this.#show();
  }

  /** The server wants a token: shows the field and how to get one. */
  askForToken() {
    byId("token-field").hidden = false;
    this.setBusy(false);
    this.#token.focus();
  }

  /** @returns {Entry | null} null, and says so, when something is missing */
  #entry() {
    const name = this.#name.value.trim();
    const room = this.#roomField.value.trim();
    const missing = [
      require(this.#name, byId("name-error"), name ? null : "nameMissing"),
      require(this.#roomField, byId("room-error"), room ? null : "roomMissing"),
    ].find(Boolean);
    missing?.focus();
    return missing ? null : { name, room, token: this.#token.value.trim() };
  }

  /** @param {Device} device */
  #toggle(device) {
    const on = !this.#isOn(device);
    remember(device === "camera" ? { camOn: on } : { micOn: on });
    void this.#inTurn(async () => {
      this.#take(device, null);
      if (on) await this.#open(device);
      this.#show();
      await this.#devices.refresh();
    });
    this.#show();
  }

  /** @param {Choice} choice */
  #onChoice(choice) {
    if (choice === "speaker") return;
    const device = choice === "microphone" ? "microphone" : "camera";
    void this.#inTurn(async () => {
      if (!this.tracks[device]) return;
      this.#take(device, null);
      await this.#open(device);
      this.#show();
    });
  }

  /** @param {Device} device */
  async #open(device) {
    try {
      const track =
        device === "camera"
          ? await openCamera({ deviceId: settings.camera, ...pictureSize() })
          : await openMicrophone({ deviceId: settings.microphone });
      this.#take(device, track);
    } catch (error) {
      this.#take(device, null, isCrosspointError(error) ? error.type : "device_failed");
    }
  }

  /**
   * @param {Device} device
   * @param {MediaStreamTrack | null} track
   * @param {string} [problem]
   */
  #take(device, track, problem) {
    this.tracks[device]?.stop();
    this.tracks[device] = track;
    if (problem) this.#problems[device] = problem;
    else delete this.#problems[device];
    if (device === "camera") {
      this.#video.srcObject = track && new MediaStream([track]);
    } else {
      this.#meter?.close();
      this.#meter = track && new LevelMeter(track);
      if (track) this.#meterLoop();
    }
  }

  #meterLoop() {
    const bars = [...byId("lobby-level").children];
    const meter = this.#meter;
    const step = () => {
      if (this.#meter !== meter) return;
      const lit = meter ? Math.round(meter.level * 1.4 * bars.length) : 0;
      bars.forEach((bar, index) => bar.toggleAttribute("data-lit", index < lit));
      requestAnimationFrame(step);
    };
    step();
  }

  #show() {
    const { camera, microphone } = this.tracks;
    this.#video.hidden = !camera;
    byId("preview-off").textContent = this.#previewText();
    this.#showToggle(byId("lobby-mic"), "mic", this.#isOn("microphone"), "micMute", "micUnmute");
    this.#showToggle(byId("lobby-cam"), "cam", this.#isOn("camera"), "camOff", "camOn");
    byId("lobby-level").hidden = !microphone;
    byId("lobby-problems").replaceChildren(...this.#problemRows());
    /** @type {HTMLElement} */ (this.#joinButton.firstElementChild).textContent = this.#busy ? t("joining") : t("join");
  }

  /**
   * @param {HTMLElement} button
   * @param {"mic" | "cam"} picture
   * @param {boolean} on
   * @param {TextKey} turnOff
   * @param {TextKey} turnOn
   */
  #showToggle(button, picture, on, turnOff, turnOn) {
    setIcon(button, on ? picture : `${picture}-off`);
    setLabel(button, t(on ? turnOff : turnOn));
    button.setAttribute("aria-pressed", String(on));
  }

  /**
   * Whether a device is meant to be on, and nothing is wrong with it.
   *
   * @param {Device} device
   */
  #isOn(device) {
    const wanted = device === "camera" ? settings.camOn : settings.micOn;
    return wanted && !this.#problems[device];
  }

  #previewText() {
    if (this.tracks.camera) return "";
    if (!settings.camOn) return t("cameraIsOff");
    return this.#starting ? t("cameraStarting") : t("cameraUnavailable");
  }

  #problemRows() {
    const { camera, microphone } = this.#problems;
    /** @type {Set<TextKey>} */
    const keys = new Set();
    if (camera) keys.add(deviceProblem("camera", camera));
    if (microphone) keys.add(deviceProblem("microphone", microphone));
    if (keys.size === 0) return [];
    const again = make("button", { type: "button", class: "link-button" }, t("tryAgain"));
    again.addEventListener("click", () => void this.openDevices());
    return [...[...keys].map((key) => make("p", {}, t(key))), again];
  }

  /** @param {() => Promise<void>} action */
  #inTurn(action) {
    this.#turn = this.#turn.then(action, action);
    return this.#turn;
  }
}

/**
 * @param {HTMLInputElement} input
 * @param {HTMLElement} message
 * @param {TextKey | null} problem
 */
function require(input, message, problem) {
  message.textContent = problem ? t(problem) : "";
  input.setAttribute("aria-invalid", String(problem !== null));
  return problem ? input : null;
}
