/**
 * The floor of a call: everybody's tile, and the stage. layout.js decides who stands where, grid.js how large; this moves the elements,
 * the focus among them and the pages.
 */
import { announce } from './announcer.js'
import { el, listen, setAttribute, setText } from './dom.js'
import { gridLayout, stripLayout } from './grid.js'
import { icon } from './icons.js'
import { copyInvite } from './invite.js'
import { neighbour, Order, pagesOf, stageOf } from './layout.js'
import { handOrder } from './marks.js'
import { createStage } from './stage.js'
import { createShareTile, createTile } from './tile.js'
import { toastError } from './toast.js'
import { Voices } from './voices.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./tile.js').Participant} Participant */
/** @typedef {import('./tile.js').Tile} Tile */
/** @typedef {import('./layout.js').Place} Place */

const GAP_PX = 10
const MIN_TILE_WIDTH_PX = 112
// Wide enough for a strip beside the stage; otherwise it lies under it.
const SIDE_STRIP_FROM_PX = 720
// An upright phone has room under the stage for a whole grid.
const TALL_FROM_RATIO = 1.2
const OWN_SHARE = 'own-share'

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {string} options.link shown to whoever is alone
 * @param {() => import('./layout.js').View} options.view
 * @param {AbortSignal} options.signal
 */
export function createFloor({ room, link, view, signal }) {
  /** @typedef {{participant: Participant | null, tile: Tile, attached: boolean}} Entry */
  /** @type {Map<string, Entry>} */
  const tiles = new Map()
  const voices = new Voices()
  const order = new Order()
  /** @type {Place | null} */
  let pinned = null
  /** Whose screen this person chose to see, where several are shared. */
  let chosen = ''
  /** @type {string[]} */
  let sharing = []
  /** @type {Place | null} */
  let onStage = null
  let page = 0
  /** Which tile the Tab key leads to. */
  let active = ''
  /** Tiles in view, as they stand. @type {{id: string, rect: import('./grid.js').Rect}[]} */
  let standing = []
  let voiceTimer = 0

  const alone = el(
    'div',
    { class: 'tile alone' },
    el('div', {}, el('h2', {}, 'Nobody else is here yet'), el('p', {}, 'Whoever opens this link joins you.'), el('p', { class: 'alone-link' }, link)),
    el('button', { type: 'button', class: 'button button-primary', onclick: () => void copyInvite(link) }, icon('invite'), 'Copy link'),
  )
  const stage = createStage((id) => {
    chosen = id
    pinned = null
    update()
  })
  const canvas = el('div', { class: 'tiles-canvas' })
  const strip = el('div', { class: 'tiles', role: 'group', 'aria-label': 'Tiles' }, canvas)
  const pageText = el('span', { 'data-testid': 'page-text', 'aria-live': 'polite' })
  const previous = el('button', { type: 'button', class: 'icon-button', 'aria-label': 'Previous page', 'data-testid': 'page-previous', onclick: () => turn(-1) }, icon('previous'))
  const next = el('button', { type: 'button', class: 'icon-button', 'aria-label': 'Next page', 'data-testid': 'page-next', onclick: () => turn(1) }, icon('next'))
  const pager = el('div', { class: 'pager', role: 'group', 'aria-label': 'Pages of participants', hidden: true }, previous, pageText, next)
  const element = el('div', { class: 'floor', onkeydown: keydown, onfocusin: focused, ondblclick: pressedTwice }, stage.element, strip, pager)

  function update() {
    const me = room.localParticipant
    /** @type {Map<string, Participant>} */
    const present = new Map([...room.participants, [me.id, me]])
    for (const [id, { participant, tile }] of tiles) {
      if (participant ? present.get(id) === participant : me.screenTrack) continue
      tile.close()
      tiles.delete(id)
      voices.remove(id)
      if (pinned?.id === id) pinned = null
    }
    for (const [id, participant] of present) {
      if (!tiles.has(id)) add(id, participant, createTile(participant, () => pin(id)))
    }
    if (me.screenTrack && !tiles.has(OWN_SHARE)) {
      add(OWN_SHARE, null, createShareTile(me.screenTrack, () => void me.setScreenShareEnabled(false).catch(toastError)))
    }
    settle()
  }

  /** @param {string} id @param {Participant | null} participant @param {Tile} tile */
  function add(id, participant, tile) {
    tiles.set(id, { participant, tile, attached: false })
    canvas.append(tile.element)
  }

  /** Decides the stage, the order and the marks anew. */
  function settle() {
    clearTimeout(voiceTimer)
    if (signal.aborted) return
    const { marked, word, recent, next: again } = voices.at(performance.now())
    if (again !== null) voiceTimer = window.setTimeout(settle, Math.max(0, again - performance.now()))
    settleStage(word)
    const people = [...tiles.values()].flatMap(({ participant }) => participant ?? [])
    const hands = handOrder(people)
    layout([...recent, ...hands.keys()])
    const shown = new Set(standing.map(({ id }) => id))
    if (onStage?.source === 'camera') shown.add(onStage.id)
    for (const [id, entry] of tiles) {
      const { participant, tile } = entry
      // A picture is attached once its tile was in view; the SDK pauses it while it is not.
      entry.attached ||= shown.has(id)
      tile.update({
        picture: entry.attached && (Boolean(participant?.isLocal) || room.videoEnabled),
        speaking: marked.has(id), hand: hands.get(id) ?? 0, pinned: pinned?.id === id && pinned.source === 'camera',
      })
    }
  }

  /** @param {string | null} word */
  function settleStage(word) {
    const sharers = room.videoEnabled ? [...room.participants.values()].filter((participant) => participant.screenTrack) : []
    // A screen that has just been shared takes the stage.
    const fresh = sharers.find((participant) => !sharing.includes(participant.id))
    if (fresh) {
      chosen = fresh.id
      pinned = null
    }
    sharing = sharers.map((participant) => participant.id)
    onStage = stageOf({ view: view(), pinned, sharers: sharing, chosen, speaker: word, remotes: [...room.participants.keys()] })
    const sharer = onStage?.source === 'screen' ? (room.participants.get(onStage.id) ?? null) : null
    const staged = onStage?.source === 'camera' ? tiles.get(onStage.id)?.tile.element : undefined
    for (const { tile } of tiles.values()) {
      const home = tile.element === staged ? stage.holder : canvas
      if (tile.element.parentElement === home) continue
      const held = tile.element.contains(document.activeElement) && document.activeElement instanceof HTMLElement ? document.activeElement : null
      tile.element.removeAttribute('style')
      tile.element.hidden = false
      home.append(tile.element)
      held?.focus()
    }
    setAttribute(element, 'data-stage', onStage !== null)
    stage.show(sharer, sharers, Boolean(staged))
    if (staged) setAttribute(staged, 'data-size', 'large')
  }

  /** @param {string[]} lively who spoke or raised a hand, newest first */
  function layout(lively = []) {
    const width = strip.clientWidth
    const height = strip.clientHeight
    const staged = onStage?.source === 'camera' ? onStage.id : ''
    const ids = [...tiles.keys()].filter((id) => id !== staged && id !== OWN_SHARE)
    const showAlone = room.participants.size === 0 && room.state !== 'connecting' && !onStage
    if (showAlone !== alone.isConnected) {
      if (showAlone) canvas.append(alone)
      else alone.remove()
    }
    if (width === 0 || height === 0) return
    const extra = (tiles.has(OWN_SHARE) ? 1 : 0) + (showAlone ? 1 : 0)
    const count = ids.length + extra
    const inGrid = !onStage
    const { perPage, pages } = inGrid ? pagesOf({ count, width, height, gap: GAP_PX }) : { perPage: count, pages: 1 }
    page = Math.min(page, pages - 1)
    const placed = !inGrid && !element.hasAttribute('data-tall')
      ? stripLayout({ count, width, height, gap: GAP_PX, direction: element.hasAttribute('data-side') ? 'column' : 'row' })
      : gridLayout({ count: inGrid ? Math.min(count, perPage) : count, width, height, gap: GAP_PX, minTileWidth: inGrid ? 1 : MIN_TILE_WIDTH_PX })
    const me = room.localParticipant.id
    const people = order.settle(ids, staged === me ? '' : me, lively.filter((id) => id !== me && id !== staged), (inGrid ? perPage : placed.visible) - extra)
    const sequence = [...(tiles.has(OWN_SHARE) ? [OWN_SHARE] : []), ...people, ...(showAlone ? [''] : [])]
    const first = page * perPage
    canvas.style.width = `${Math.max(placed.contentWidth, width)}px`
    canvas.style.height = `${placed.contentHeight}px`
    standing = []
    for (const [index, id] of sequence.entries()) {
      const tile = id === '' ? alone : tiles.get(id)?.tile.element
      const rect = placed.rects[index - first]
      if (!tile) continue
      const shown = index >= first && index < first + perPage && rect !== undefined
      tile.hidden = !shown
      if (!shown) continue
      tile.style.width = `${rect.width}px`
      tile.style.height = `${rect.height}px`
      tile.style.transform = `translate(${rect.x}px, ${rect.y}px)`
      setAttribute(tile, 'data-size', rect.width < 150 ? 'small' : rect.width < 320 ? 'medium' : 'large')
      if (id !== '') standing.push({ id, rect })
    }
    if (!standing.some(({ id }) => id === active) && (active === '' || active !== staged)) active = standing[0]?.id ?? ''
    // All tiles are one stop for the keyboard.
    for (const [id, { tile }] of tiles) {
      for (const each of tile.pin ? [tile.element, tile.pin] : [tile.element]) setAttribute(each, 'tabindex', id === active ? '0' : '-1')
    }
    pager.hidden = pages < 2
    previous.disabled = page === 0
    next.disabled = page === pages - 1
    setText(pageText, `Page ${page + 1} of ${pages}`)
  }

  /** @param {number} by */
  function turn(by) {
    page = Math.max(0, page + by)
    settle()
    // A button that can do no more would lose the focus to nowhere.
    if (previous.disabled && document.activeElement === previous) next.focus()
    if (next.disabled && document.activeElement === next) previous.focus()
  }

  /** @param {string} id */
  function pin(id) {
    const name = tiles.get(id)?.participant?.name ?? ''
    pinned = pinned?.id === id ? null : { id, source: 'camera' }
    active = id
    announce(pinned ? `${name} is pinned to the stage` : `${name} is no longer pinned`)
    settle()
    const tile = tiles.get(id)?.tile
    if (document.activeElement === document.body) tile?.element.focus()
  }

  /** @param {KeyboardEvent} event */
  function keydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement)) return
    const id = event.target.closest('.tile')?.getAttribute('data-participant') ?? (event.target.closest('.share-tile') ? OWN_SHARE : '')
    if (id === '' || !tiles.has(id)) return
    if (event.key === 'Enter' && event.target.classList.contains('tile') && id !== OWN_SHARE) {
      event.preventDefault()
      pin(id)
      return
    }
    if (event.key === 'PageDown' || event.key === 'PageUp') {
      if (pager.hidden) return
      event.preventDefault()
      turn(event.key === 'PageDown' ? 1 : -1)
      tiles.get(active)?.tile.element.focus()
      return
    }
    if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key)) return
    const at = standing.findIndex((each) => each.id === id)
    // From the stage every arrow leads to the others.
    const to = at < 0 ? 0 : neighbour(standing.map(({ rect }) => rect), at, event.key)
    const target = standing[to]
    event.preventDefault()
    if (!target) return
    active = target.id
    settle()
    tiles.get(active)?.tile.element.focus()
  }

  /** @param {FocusEvent} event */
  function focused(event) {
    const tile = event.target instanceof HTMLElement ? event.target.closest('.tile') : null
    const id = tile?.getAttribute('data-participant')
    if (!id || id === active) return
    active = id
    settle()
  }

  /** @param {MouseEvent} event */
  function pressedTwice(event) {
    const tile = event.target instanceof HTMLElement && !event.target.closest('button') ? event.target.closest('.tiles .tile') : null
    const id = tile?.getAttribute('data-participant')
    if (id) pin(id)
  }

  listen(room, 'activeSpeakersChanged', (/** @type {{participants: Participant[]}} */ { participants }) => {
    voices.heard(performance.now(), participants.map(({ id }) => id))
    settle()
  }, signal)
  const resize = new ResizeObserver(() => {
    const { clientWidth, clientHeight } = element
    setAttribute(element, 'data-side', clientWidth >= SIDE_STRIP_FROM_PX && clientWidth > clientHeight)
    setAttribute(element, 'data-tall', clientHeight > clientWidth * TALL_FROM_RATIO)
    settle()
  })
  resize.observe(element)
  resize.observe(strip)
  signal.addEventListener('abort', () => {
    resize.disconnect()
    clearTimeout(voiceTimer)
    stage.close()
    for (const { tile } of tiles.values()) tile.close()
    tiles.clear()
  })
  return { element, update, /** The place of every raised hand. */ hands: () => handOrder([room.localParticipant, ...room.participants.values()]) }
}
