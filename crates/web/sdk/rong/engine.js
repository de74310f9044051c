/**
 * `@rongcloud/engine`: what applications import of it beside the plugins.
 */

export { ConnectionStatus, ErrorCode } from "./im.js";
export { ConversationType } from "./codes.js";
