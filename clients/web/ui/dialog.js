/**
 * Modal dialogs: one title, one close button, focus kept inside and given back. The browser's own dialog does the trapping.
 */
import { el } from './dom.js'
import { icon } from './icons.js'

/**
 * A modal dialog with a title and a close button. It goes when closed by Escape, its button or a press beside it; the focus returns to
 * where it was.
 * @param {string} title
 * @param {...(Node | false)} content
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, ...content) {
  const before = document.activeElement
  const heading = el('h2', { id: `dialog-${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}` }, title)
  const dialog = el(
    'dialog',
    { class: 'dialog', 'aria-labelledby': heading.id },
    el(
      'div',
      { class: 'dialog-box' },
      el('header', {}, heading, el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', 'data-testid': 'dialog-close', onclick: () => dialog.close() }, icon('close'))),
      ...content,
    ),
  )
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close()
  })
  dialog.addEventListener('close', () => {
    dialog.remove()
    if (before instanceof HTMLElement && before.isConnected && (document.activeElement === document.body || document.activeElement === null)) before.focus()
  })
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}
