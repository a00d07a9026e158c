// Owns the errors of the SDK: stable names, each with a sentence a person can act on. Never shows or logs anything.

/** Errors of the protocol (PROTOCOL.md section 8). @type {ReadonlyArray<readonly [number, string, string]>} */
const PROTOCOL = [
  [4000, 'internal_error', 'Something broke on our side. Please join again.'],
  [4001, 'join_timeout', 'Nothing was sent after connecting.'],
  [4002, 'join_first', 'The first message must be a join.'],
  [4003, 'frame_too_short', 'A message was shorter than its 37-byte header.'],
  [4004, 'room_not_found', 'Room not found'],
  [4005, 'text_message', 'Text messages are not part of this protocol.'],
  [4006, 'unknown_type', 'A message had a type that is not known here.'],
  [4007, 'foreign_sender', "A message carried somebody else's id."],
  [4008, 'id_taken', 'Somebody with this id is already in the room.'],
  [4009, 'bad_id', 'The id must be a UUID in text form.'],
  [4010, 'bad_name', 'The name must have 1 to 64 characters.'],
  [4011, 'bad_room', 'A room name has 1 to 64 letters, digits, - or _.'],
  [4012, 'already_joined', 'This connection has joined already.'],
  [4013, 'room_full', 'This room is full.'],
  [4014, 'bad_json', 'A control message could not be read.'],
  [4015, 'bad_version', 'This version of the protocol is not spoken here. Please reload the page.'],
  [4016, 'frame_too_large', 'A media frame was larger than 1,000 bytes.'],
  [4017, 'bad_media_header', 'A media header contradicts itself.'],
  [4018, 'bad_chunk', 'A chunk does not fit the others of its frame.'],
  [4019, 'unknown_track', 'Media arrived for a track that was not announced.'],
  [4020, 'audio_too_large', 'An audio message was larger than 64 KiB.'],
  [4021, 'share_too_large', 'A screen share chunk was larger than 2 MiB.'],
  [4022, 'chat_too_long', 'That message is too long.'],
  [4023, 'image_too_large', 'That image is larger than 1 MiB.'],
  [4024, 'not_an_image', 'That file is not a PNG, JPEG, GIF or WebP image.'],
  [4025, 'bad_config', 'A track was announced with settings out of range.'],
  [4026, 'too_many_tracks', 'There is already a track of that source.'],
  [4027, 'rate_limited', 'Too much at once. Please wait a moment.'],
  [4028, 'too_many_errors', 'Too many messages could not be understood.'],
  [4029, 'too_slow', 'The connection is too slow to keep up with the room.'],
  [4030, 'replaced', 'You joined from another page.'],
  [4031, 'idle_timeout', 'The connection went silent.'],
  [4032, 'server_full', 'This server is full. Please try again later.'],
  [4033, 'shutting_down', 'The server is restarting. You will be reconnected.'],
  [4034, 'message_too_large', 'A message was larger than anything this protocol sends.'],
  [4035, 'wrong_direction', 'A message of this type may only come from the server.'],
  [4036, 'no_such_image', 'That image is not there any more.'],
  [4037, 'bad_token', 'The access token is missing or not valid any more.'],
  [4038, 'bad_mime', 'A screen share was announced with a type that cannot be read.'],
]

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

const byCode = new Map(PROTOCOL.map(([code, name, message]) => [code, { name, message }]))
const codeByName = new Map(PROTOCOL.map(([code, name]) => [name, code]))

/** What the SDK throws and reports. `code` is the protocol's number, 0 for errors that arise in the browser. */
export class PulseError extends Error {
  /**
   * @param {string} name a stable name of the tables above
   * @param {{message?: string, cause?: unknown, device?: string}} [options] another sentence than the table's; what led to it; which device
   */
  constructor(name, options = {}) {
    const code = codeByName.get(name) ?? 0
    const message = options.message ?? byCode.get(code)?.message ?? LOCAL[name] ?? name
    super(message.replace('{device}', options.device ?? 'device'), { cause: options.cause })
    this.name = name
    this.code = code
  }
}

/**
 * The error behind a code of the edge; an unknown code keeps the edge's own words.
 * @param {number} code
 * @param {string} [message]
 */
export function errorOfCode(code, message) {
  const known = byCode.get(code)
  return known ? new PulseError(known.name, message ? { message } : {}) : new PulseError('connection_lost', message ? { message } : {})
}

/**
 * A PulseError as plain data, to cross from the worker to the page.
 * @param {PulseError} error
 * @returns {{name: string, message: string}}
 */
export const toPlain = (error) => ({ name: error.name, message: error.message })

/** @param {{name: string, message: string}} plain */
export const fromPlain = (plain) => new PulseError(plain.name, { message: plain.message })
