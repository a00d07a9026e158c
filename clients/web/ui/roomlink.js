/**
 * The room in the address: its name is the URL's fragment, which browsers never send to a server by themselves.
 */

const ROOM = /^[A-Za-z0-9_-]{1,64}$/
const RANDOM_BYTES = 12 // 96 bits: nobody guesses a room.

/** The room of this page's address; empty when there is none. */
export function roomOfLocation() {
  return location.hash.slice(1)
}

/** @param {string} name */
export function isRoomName(name) {
  return ROOM.test(name)
}

/** A name nobody can guess, 16 characters of base64url. */
export function randomRoom() {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_')
}

/**
 * Puts a room into the address without a step in the history.
 * @param {string} name
 */
export function putRoomInLocation(name) {
  history.replaceState(null, '', `#${name}`)
}

/**
 * The link to share.
 * @param {string} name
 */
export function linkTo(name) {
  return `${location.origin}${location.pathname}#${name}`
}
