/**
 * The floor of a call: everybody's tile, and the stage when somebody shares a screen. Decides who stands where; grid.js says how large.
 */
import { el, listen, setAttribute, setText } from './dom.js'
import { gridLayout, stripLayout } from './grid.js'
import { icon } from './icons.js'
import { copyInvite } from './invite.js'
import { createTile, pictureIn } from './tile.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./tile.js').Participant} Participant */

const GAP_PX = 10
const MIN_TILE_WIDTH_PX = 112
// Wide enough for a strip beside the stage; otherwise it lies under it.
const SIDE_STRIP_FROM_PX = 720
// An upright phone has room under the stage for a whole grid.
const TALL_FROM_RATIO = 1.2

/**
 * @param {Room} room
 * @param {string} link shown to whoever is alone
 * @param {AbortSignal} signal
 * @returns {{element: HTMLElement, update: () => void}}
 */
export function createFloor(room, link, signal) {
  /** @type {Map<string, {participant: Participant, tile: import('./tile.js').Tile}>} */
  const tiles = new Map()
  /** Who spoke last, newest first: in a strip they come into view. @type {string[]} */
  let speakers = []
  /** Whose screen this person chose to see, where several are shared. */
  let chosen = ''
  /** @type {string[]} */
  let sharing = []

  const alone = el(
    'div',
    { class: 'tile alone' },
    el('div', {}, el('h2', {}, 'Nobody else is here yet'), el('p', {}, 'Whoever opens this link joins you.'), el('p', { class: 'alone-link' }, link)),
    el('button', { type: 'button', class: 'button button-primary', onclick: () => void copyInvite(link) }, icon('invite'), 'Copy link'),
  )
  const stageMedia = el('div', { class: 'stage-media' })
  const stageName = el('span', {})
  const stageChoice = el('div', { class: 'stage-choice', role: 'group', 'aria-label': 'Shared screens' })
  const stage = el(
    'section',
    { class: 'stage', 'data-testid': 'stage', 'aria-label': 'Shared screen', ondblclick: toggleFullscreen },
    stageMedia,
    el('div', { class: 'stage-plate' }, icon('share'), stageName),
    stageChoice,
    el('button', { type: 'button', class: 'icon-button stage-expand', 'aria-label': 'Full screen', 'data-tip': 'Full screen', 'data-tip-left': true, onclick: toggleFullscreen }, icon('expand')),
  )
  stage.hidden = true
  const strip = el('div', { class: 'tiles', role: 'group', 'aria-label': 'Tiles' })
  const canvas = el('div', { class: 'tiles-canvas' })
  strip.append(canvas)
  const element = el('div', { class: 'floor' }, stage, strip)
  const stagePicture = pictureIn(stageMedia, 'stage-video')

  function toggleFullscreen() {
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {})
    else void stage.requestFullscreen?.().catch(() => {})
  }

  function update() {
    const present = new Map([...room.participants, [room.localParticipant.id, room.localParticipant]])
    for (const [id, { participant, tile }] of tiles) {
      if (present.get(id) === participant) continue
      tile.close()
      tiles.delete(id)
    }
    for (const [id, participant] of present) {
      let entry = tiles.get(id)
      if (!entry) {
        entry = { participant, tile: createTile(participant) }
        tiles.set(id, entry)
        canvas.append(entry.tile.element)
      }
      entry.tile.update(participant.isLocal || room.videoEnabled)
    }
    updateStage()
    layout()
  }

  function updateStage() {
    const sharers = room.videoEnabled ? [...room.participants.values()].filter((participant) => participant.screenTrack) : []
    // A screen that has just been shared takes the stage.
    const fresh = sharers.find((participant) => !sharing.includes(participant.id))
    if (fresh) chosen = fresh.id
    sharing = sharers.map((participant) => participant.id)
    const shown = sharers.find((participant) => participant.id === chosen) ?? sharers[sharers.length - 1]
    stage.hidden = !shown
    setAttribute(element, 'data-stage', Boolean(shown))
    stagePicture.show(shown?.screenTrack ?? null, shown ? `Screen of ${shown.name}` : '')
    if (!shown && document.fullscreenElement === stage) toggleFullscreen()
    setText(stageName, shown ? `${shown.name}’s screen` : '')
    stageChoice.hidden = sharers.length < 2
    stageChoice.replaceChildren(
      ...sharers.map((participant) =>
        el('button', { type: 'button', class: 'chip', 'aria-pressed': String(participant === shown), onclick: () => choose(participant.id) }, participant.name),
      ),
    )
  }

  /** @param {string} id */
  function choose(id) {
    chosen = id
    updateStage()
  }

  function layout() {
    const width = strip.clientWidth
    const height = strip.clientHeight
    if (width === 0 || height === 0) return
    const onStage = element.hasAttribute('data-stage')
    const order = [...tiles.values()].sort((a, b) => Number(a.participant.isLocal) - Number(b.participant.isLocal)).map((entry) => entry.participant.id)
    const showAlone = room.participants.size === 0 && room.state !== 'connecting' && !onStage
    if (showAlone !== alone.isConnected) {
      if (showAlone) canvas.append(alone)
      else alone.remove()
    }
    const count = order.length + (showAlone ? 1 : 0)
    const side = element.hasAttribute('data-side')
    const inStrip = onStage && !element.hasAttribute('data-tall')
    const placed = inStrip
      ? stripLayout({ count, width, height, gap: GAP_PX, direction: side ? 'column' : 'row' })
      : gridLayout({ count, width, height, gap: GAP_PX, minTileWidth: MIN_TILE_WIDTH_PX })
    bringSpeakersIntoView(order, placed.visible)
    // What scrolls must be reachable by keyboard.
    setAttribute(strip, 'tabindex', placed.contentHeight > height + 1 || placed.contentWidth > width + 1 ? '0' : false)
    canvas.style.width = `${Math.max(placed.contentWidth, width)}px`
    canvas.style.height = `${placed.contentHeight}px`
    const elements = order.map((id) => tiles.get(id)?.tile.element)
    if (showAlone) elements.push(alone)
    placed.rects.forEach((rect, index) => {
      const tile = elements[index]
      if (!tile) return
      tile.style.width = `${rect.width}px`
      tile.style.height = `${rect.height}px`
      tile.style.transform = `translate(${rect.x}px, ${rect.y}px)`
      setAttribute(tile, 'data-size', rect.width < 150 ? 'small' : rect.width < 320 ? 'medium' : 'large')
    })
  }

  /**
   * Whoever spoke last trades places with the last of those in view.
   * @param {string[]} order changed in place
   * @param {number} visible
   */
  function bringSpeakersIntoView(order, visible) {
    for (const [rank, id] of speakers.slice(0, visible).entries()) {
      const at = order.indexOf(id)
      const target = visible - 1 - rank
      if (at >= visible && target >= 0) [order[target], order[at]] = [/** @type {string} */ (order[at]), /** @type {string} */ (order[target])]
    }
  }

  /** @param {{participants: Participant[]}} detail */
  function speaking({ participants }) {
    const now = participants.map((participant) => participant.id)
    speakers = [...now, ...speakers.filter((id) => !now.includes(id) && tiles.has(id))]
    for (const { participant, tile } of tiles.values()) tile.update(participant.isLocal || room.videoEnabled)
    layout()
  }

  listen(room, 'activeSpeakersChanged', speaking, signal)
  const resize = new ResizeObserver(() => {
    const { clientWidth, clientHeight } = element
    setAttribute(element, 'data-side', clientWidth >= SIDE_STRIP_FROM_PX && clientWidth > clientHeight)
    setAttribute(element, 'data-tall', clientHeight > clientWidth * TALL_FROM_RATIO)
    layout()
  })
  resize.observe(element)
  resize.observe(strip)
  signal.addEventListener('abort', () => {
    resize.disconnect()
    stagePicture.show(null, '')
    for (const { tile } of tiles.values()) tile.close()
    tiles.clear()
  })
  return { element, update }
}
