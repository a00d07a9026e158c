// Owns the errors of the SDK: stable names, each with a sentence a person can act on. Never shows or logs anything.

/**
 * Errors of the protocol (PROTOCOL.md section 8) that this side may find by itself; the others bring name and sentence from the edge.
 * @type {Record<string, [code: number, message: string]>}
 */
const PROTOCOL = {
  internal_error: [4000, 'Something broke on our side. Please join again.'],
  chat_too_long: [4022, 'That message is too long.'],
  image_too_large: [4023, 'That image is larger than 1 MiB.'],
  not_an_image: [4024, 'That file is not a PNG, JPEG, GIF or WebP image.'],
}

/** Errors that arise in the browser; their code is 0. @type {Record<string, string>} */
const LOCAL = {
  not_supported: 'This browser cannot take part in calls. Please use a current Chrome, Edge or Firefox.',
  insecure_context: 'Camera and microphone need a secure page. Please open this page by https or on localhost.',
  connection_failed: 'The server could not be reached. Please check your connection and try again.',
  connection_lost: 'The connection was lost. Please join again.',
  not_connected: 'You are not connected to a room.',
  already_connected: 'You are already in a room.',
  permission_denied: 'Access to the {device} was refused. Please allow it in the address bar of your browser.',
  permission_dismissed: 'The question for the {device} was closed. Please press the button again and allow it.',
  permission_system: 'Your system keeps the {device} from this browser. Please allow it in the settings of the system.',
  permission_revoked: 'Access to the {device} was taken back. Please allow it in the address bar of your browser.',
  device_not_found: 'No {device} was found. Please plug one in or choose another.',
  device_in_use: 'The {device} cannot be opened. Another program may be using it.',
  device_failed: 'The {device} could not be started. Please choose another.',
  device_unplugged: 'The {device} was unplugged.',
  device_ended: 'The {device} has stopped.',
  device_muted: 'The {device} was switched off by the system or another program.',
  overconstrained: 'The chosen {device} is not there or cannot do what was asked. Another one is used.',
  processing_refused: 'The {device} comes without echo cancellation. Headphones keep others from hearing themselves.',
  switch_failed: 'The chosen {device} cannot be used. The one before stays on.',
  share_cancelled: 'Screen sharing was cancelled.',
  empty_message: 'There is nothing to send.',
  message_not_sent: 'The message may not have been sent. Please try again.',
  speaker_failed: 'That speaker cannot be used. Please choose another.',
  media_failed: 'Sound or picture could not be encoded. Please turn it off and on again.',
  codec_not_supported: 'This browser cannot show this picture: its format is not known here.',
  track_undecodable: 'What this participant sends cannot be decoded.',
  picture_too_large: 'This picture is too large to be shown.',
  share_unreadable: 'A screen share cannot be shown by this browser.',
}

/** What the SDK throws and reports. `code` is the protocol's number, 0 for errors that arise in the browser. */
export class PulseError extends Error {
  /**
   * @param {string} name a stable name of the tables above, or of the protocol
   * @param {{message?: string, code?: number, cause?: unknown, device?: string}} [options] another sentence and number than the table's;
   *   what led to it; which device
   */
  constructor(name, { message, code, cause, device = 'device' } = {}) {
    const [number, sentence] = PROTOCOL[name] ?? [0, LOCAL[name] ?? name]
    super((message || sentence).replace('{device}', device), { cause })
    this.name = name
    this.code = code ?? number
  }
}

/** @typedef {{name: string, message: string, code: number}} PlainError an error as it crosses from the edge or the worker */

/** @param {PulseError} error @returns {PlainError} */
export const toPlain = ({ name, message, code }) => ({ name, message, code })

/** @param {PlainError} plain */
export const fromPlain = ({ name, message, code }) => new PulseError(name, { message, code })
