/**
 * The stage: one shared screen, or one participant's tile, as large as it goes. floor.js says which; this shows it.
 */
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { troubleOf } from './marks.js'
import { pictureIn } from './tile.js'

/** @typedef {import('./tile.js').Participant} Participant */

/** @param {(id: string) => void} onChoose whose screen, where several are shared */
export function createStage(onChoose) {
  const media = el('div', { class: 'stage-media' })
  const cover = el('div', { class: 'tile-cover', hidden: true })
  const name = el('span', {})
  const choice = el('div', { class: 'stage-choice', role: 'group', 'aria-label': 'Shared screens' })
  const plate = el('div', { class: 'stage-plate' }, icon('share'), name)
  const expand = el('button', { type: 'button', class: 'icon-button stage-expand', 'aria-label': 'Full screen', 'data-tip': 'Full screen', 'data-tip-left': true, onclick: toggleFullscreen }, icon('expand'))
  const holder = el('div', { class: 'stage-tile' })
  const element = el('section', { class: 'stage', 'data-testid': 'stage', 'aria-label': 'Stage', ondblclick: toggleFullscreen }, choice, media, holder, cover, plate, expand)
  element.hidden = true
  const picture = pictureIn(media, 'stage-video')

  function toggleFullscreen() {
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {})
    else void element.requestFullscreen?.().catch(() => {})
  }

  return {
    element,
    /** Where a participant's tile stands while it has the stage. */
    holder,
    /**
     * @param {Participant | null} sharer whose screen is shown
     * @param {Participant[]} sharers
     * @param {boolean} person somebody's tile stands here instead
     */
    show(sharer, sharers, person) {
      const track = sharer?.screenTrack ?? null
      const trouble = track ? troubleOf(track) : ''
      element.hidden = !sharer && !person
      holder.hidden = !person
      media.hidden = plate.hidden = !sharer
      setAttribute(element, 'data-kind', sharer ? 'screen' : 'person')
      picture.show(track?.error ? null : track, sharer ? `Screen of ${sharer.name}` : '')
      cover.hidden = trouble === ''
      if (cover.textContent !== trouble) cover.replaceChildren(icon(track?.error ? 'warning' : 'pause'), el('span', {}, trouble))
      if (element.hidden && document.fullscreenElement === element) toggleFullscreen()
      setText(name, sharer ? `${sharer.name}’s screen` : '')
      choice.hidden = sharers.length === 0 || (sharers.length < 2 && Boolean(sharer))
      const key = sharers.map((each) => `${each.id} ${each.name} ${each === sharer}`).join('\n')
      if (choice.dataset['key'] === key) return
      choice.dataset['key'] = key
      // Rebuilding takes the focus away; it stays with the same person's button.
      const focused = document.activeElement instanceof HTMLElement && choice.contains(document.activeElement) ? document.activeElement.dataset['id'] : undefined
      choice.replaceChildren(
        ...sharers.map((each) =>
          el('button', { type: 'button', class: 'chip', 'data-id': each.id, 'aria-pressed': String(each === sharer), onclick: () => onChoose(each.id) }, sharer ? each.name : `${each.name}’s screen`),
        ),
      )
      for (const button of choice.children) if (button instanceof HTMLElement && focused && button.dataset['id'] === focused) button.focus()
    },
    close() {
      picture.show(null, '')
    },
  }
}
