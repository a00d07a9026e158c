/**
 * The keyboard shortcuts, as a dialog.
 */
import { openDialog } from './dialog.js'
import { el } from './dom.js'
import { KEYS, SHORTCUTS } from './shortcuts.js'

/** @param {boolean} enabled whether single keys do something */
export function openHelp(enabled) {
  const rows = [...(enabled ? SHORTCUTS : []), ...KEYS]
  const dialog = openDialog(
    'Keyboard',
    !enabled && el('p', {}, 'Single-key shortcuts are switched off. Switch them on under More.'),
    el('dl', { class: 'keys' }, ...rows.map(({ keys, text }) => el('div', {}, el('dt', {}, el('kbd', {}, keys)), el('dd', {}, text)))),
  )
  dialog.dataset['testid'] = 'help-dialog'
}
