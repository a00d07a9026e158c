/**
 * The keyboard shortcuts of a call: which key does what, and when a key belongs to somebody else. Pure; controls.js listens.
 */

/** @typedef {'microphone' | 'camera' | 'share' | 'hand' | 'chat' | 'participants' | 'help' | 'talk'} Action */

/** Every shortcut, as the help shows them. @type {readonly {keys: string, action: Action, text: string}[]} */
export const SHORTCUTS = [
  { keys: 'M', action: 'microphone', text: 'Microphone on or off' },
  { keys: 'Space', action: 'talk', text: 'Hold to talk while muted' },
  { keys: 'V', action: 'camera', text: 'Camera on or off' },
  { keys: 'S', action: 'share', text: 'Share your screen, or stop' },
  { keys: 'H', action: 'hand', text: 'Raise or lower your hand' },
  { keys: 'C', action: 'chat', text: 'Open or close the chat' },
  { keys: 'P', action: 'participants', text: 'Open or close the list of participants' },
  { keys: '?', action: 'help', text: 'Show these shortcuts' },
]

/** Keys that are no shortcuts but work everywhere. @type {readonly {keys: string, text: string}[]} */
export const KEYS = [
  { keys: 'Tab', text: 'To the next control' },
  { keys: 'Arrow keys', text: 'From tile to tile' },
  { keys: 'Enter', text: 'Pin the tile, or let it go' },
  { keys: 'Esc', text: 'Close a panel or a dialog' },
]

/**
 * @param {object} press
 * @param {string} press.key
 * @param {boolean} press.modified with Ctrl, Alt or Meta
 * @param {boolean} press.repeated the key is being held down
 * @param {boolean} press.typing in a field
 * @param {boolean} press.onControl on a button or link that the key itself would press
 * @param {boolean} press.inDialog
 * @param {boolean} press.enabled this person wants shortcuts
 * @returns {Action | null}
 */
export function actionOf({ key, modified, repeated, typing, onControl, inDialog, enabled }) {
  if (!enabled || modified || repeated || typing || inDialog) return null
  if (key === ' ') return onControl ? null : 'talk'
  return SHORTCUTS.find(({ keys }) => keys.length === 1 && keys === key.toUpperCase())?.action ?? null
}
