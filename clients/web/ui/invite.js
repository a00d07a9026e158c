/**
 * Getting the link to somebody: the clipboard, or a dialog to copy from where the clipboard is refused.
 */
import { el } from './dom.js'
import { icon } from './icons.js'
import { toast } from './toast.js'

/** @param {string} link */
export async function copyInvite(link) {
  try {
    await navigator.clipboard.writeText(link)
    toast('Link copied. Send it to whoever should join.')
  } catch {
    showLink(link)
  }
}

/** @param {string} link */
function showLink(link) {
  const field = el('input', { type: 'text', readonly: true, value: link, 'aria-label': 'Link to this room', 'data-testid': 'invite-link' })
  const dialog = openDialog('Invite people', el('p', {}, 'Copy this link and send it to whoever should join.'), field)
  dialog.dataset['testid'] = 'invite-dialog'
  field.focus()
  field.select()
}

/**
 * A modal dialog with a title and a close button. It goes when closed by Escape, its button or a press beside it.
 * @param {string} title
 * @param {...Node} content
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, ...content) {
  const heading = el('h2', { id: `dialog-${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}` }, title)
  const dialog = el(
    'dialog',
    { class: 'dialog', 'aria-labelledby': heading.id },
    el(
      'div',
      { class: 'dialog-box' },
      el('header', {}, heading, el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
      ...content,
    ),
  )
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close()
  })
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}
