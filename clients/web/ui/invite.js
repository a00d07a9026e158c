/**
 * Getting the link to somebody: the clipboard, or a dialog to copy from where the clipboard is refused.
 */
import { openDialog } from './dialog.js'
import { el } from './dom.js'
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
