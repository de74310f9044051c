/**
 * What can go wrong, under names that stay.
 */

/**
 * Names made here; the server adds its own (`room_full`, `not_permitted`, `draining`, ...).
 *
 * @typedef {"device_refused" | "device_refused_by_system" | "device_missing" | "device_in_use"
 *   | "device_failed" | "screen_refused" | "not_supported" | "insecure_context"
 *   | "server_unreachable" | "unauthorized" | "forbidden" | "network_lost" | "connection_lost"
 *   | "session_expired" | "media_failed" | "timeout" | "too_large" | "overloaded" | "aborted"
 *   | "not_joined" | "protocol" | (string & {})} ErrorType
 */

/** Every error that the SDK throws on purpose. */
export class CrosspointError extends Error {
  /**
   * @param {ErrorType} type stable name, for code and for choosing words
   * @param {string} message in English, for logs
   * @param {{ status?: number, cause?: unknown }} [details]
   */
  constructor(type, message, { status, cause } = {}) {
    super(message, { cause });
    this.name = "CrosspointError";
    /** Stable name. @readonly */
    this.type = type;
    /** HTTP status that the server would have given; 0 when it did not speak. @readonly */
    this.status = status ?? 0;
  }
}

/**
 * @param {unknown} error
 * @param {ErrorType} [type] only this one
 * @returns {error is CrosspointError}
 */
export function isCrosspointError(error, type) {
  return error instanceof CrosspointError && (type === undefined || error.type === type);
}

/**
 * The error of a reply.
 *
 * @param {{ type: string, title?: string, status?: number }} problem
 */
export function serverError(problem) {
  return new CrosspointError(problem.type, problem.title ?? problem.type, {
    status: problem.status ?? 0,
  });
}

/**
 * What `getUserMedia` and `getDisplayMedia` mean by their `DOMException`s. Browsers agree on the
 * names (Media Capture and Streams, 10.2), less on the texts.
 *
 * @param {unknown} cause
 * @param {"camera" | "microphone" | "screen"} device
 */
export function deviceError(cause, device) {
  const { name, message } = cause instanceof Error ? cause : { name: "", message: String(cause) };
  return new CrosspointError(deviceErrorType(name, message, device), `${device}: ${message}`, {
    cause,
  });
}

/**
 * @param {string} name
 * @param {string} message
 * @param {"camera" | "microphone" | "screen"} device
 * @returns {ErrorType}
 */
function deviceErrorType(name, message, device) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      // Chromium tells by the text alone that the operating system, not the user, said no.
      if (/by system/i.test(message)) return "device_refused_by_system";
      return device === "screen" ? "screen_refused" : "device_refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "device_missing";
    case "NotReadableError":
    case "AbortError":
      return "device_in_use";
    case "TypeError":
    case "NotSupportedError":
      return "not_supported";
    default:
      return "device_failed";
  }
}
