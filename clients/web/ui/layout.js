/**
 * Who stands where in a call: what takes the stage, in which order the tiles come, how many fit on a page. Pure decisions; grid.js
 * turns them into rectangles and floor.js into elements.
 */
import { gridLayout } from './grid.js'

/** How the call is laid out. `auto`: a grid, with a stage while somebody shares or is pinned. @typedef {'auto' | 'grid' | 'speaker'} View */
/** What can take the stage. @typedef {{id: string, source: 'camera' | 'screen'}} Place */

// More pictures than this at a time are a mosaic, not people.
const MAX_ON_PAGE = 49
// Below this width faces cannot be read; a phone is held closer.
const MIN_TILE_PX = 220
const MIN_TILE_PHONE_PX = 172
const PHONE_BELOW_PX = 640

/**
 * What stands on the stage; null: nothing does, everybody is in the grid.
 * @param {object} call
 * @param {View} call.view
 * @param {Place | null} call.pinned what this person chose to keep in view
 * @param {string[]} call.sharers ids of those whose screens can be seen, the newest last
 * @param {string} call.chosen whose screen this person chose among several
 * @param {string | null} call.speaker who has the word
 * @param {string[]} call.remotes everybody else, in the order they came
 * @returns {Place | null}
 */
export function stageOf({ view, pinned, sharers, chosen, speaker, remotes }) {
  if (pinned) return pinned
  const screen = sharers.includes(chosen) ? chosen : sharers.at(-1)
  // A screen is there to be read: it takes the stage whatever the view.
  if (screen !== undefined) return { id: screen, source: 'screen' }
  if (view !== 'speaker') return null
  const id = speaker !== null && remotes.includes(speaker) ? speaker : remotes[0]
  return id === undefined ? null : { id, source: 'camera' }
}

/** The order of the tiles. Kept from one moment to the next, so that nobody moves without a reason. */
export class Order {
  /** @type {string[]} */
  #ids = []

  /**
   * Those who came are added, those who left are taken out. Whoever spoke last trades places with whom in view has been silent longest.
   * @param {string[]} present
   * @param {string} local stands last on the first page; '' where it has no tile
   * @param {string[]} lively who spoke or raised a hand, newest first
   * @param {number} visible tiles in view, the local one included
   * @returns {string[]}
   */
  settle(present, local, lively, visible) {
    const here = new Set(present.filter((id) => id !== local))
    const ids = this.#ids.filter((id) => here.has(id))
    for (const id of here) if (!ids.includes(id)) ids.push(id)
    const hasLocal = local !== '' && present.includes(local)
    const inView = Math.max(1, visible - Number(hasLocal))
    const rank = new Map(lively.map((id, index) => [id, index]))
    const rankOf = (/** @type {string | undefined} */ id) => rank.get(id ?? '') ?? Infinity
    for (const id of lively.slice(0, inView)) {
      const at = ids.indexOf(id)
      if (at < inView) continue
      let target = inView - 1
      for (let index = inView - 1; index >= 0; index -= 1) if (rankOf(ids[index]) > rankOf(ids[target])) target = index
      if (rankOf(ids[target]) <= rankOf(id)) continue
      ids[at] = /** @type {string} */ (ids[target])
      ids[target] = id
    }
    this.#ids = ids
    return hasLocal ? [...ids.slice(0, inView), local, ...ids.slice(inView)] : [...ids]
  }
}

/**
 * How many tiles a page of the grid holds so that they stay large enough to read.
 * @param {{count: number, width: number, height: number, gap: number}} floor
 * @returns {{perPage: number, pages: number}}
 */
export function pagesOf({ count, width, height, gap }) {
  // The narrowest phone has room for two beside each other, too.
  const least = width < PHONE_BELOW_PX ? Math.min(MIN_TILE_PHONE_PX, (width - gap) / 2 - 1) : MIN_TILE_PX
  let perPage = Math.max(1, Math.min(count, MAX_ON_PAGE))
  while (perPage > 1) {
    const { rects } = gridLayout({ count: perPage, width, height, gap, minTileWidth: 1 })
    const [first] = rects
    if (first && first.width >= least) break
    perPage -= 1
  }
  return { perPage, pages: Math.max(1, Math.ceil(count / perPage)) }
}

/**
 * Where the arrow keys lead from one tile to the next. Rectangles as they stand; -1 where there is nothing that way.
 * @param {{x: number, y: number, width: number, height: number}[]} rects
 * @param {number} from
 * @param {string} key
 * @returns {number}
 */
export function neighbour(rects, from, key) {
  if (key === 'Home') return rects.length > 0 ? 0 : -1
  if (key === 'End') return rects.length - 1
  const here = rects[from]
  if (!here) return -1
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0]
  const centre = (/** @type {typeof here} */ rect) => [rect.x + rect.width / 2, rect.y + rect.height / 2]
  const [x = 0, y = 0] = centre(here)
  let best = -1
  let least = Infinity
  for (const [index, rect] of rects.entries()) {
    const [otherX = 0, otherY = 0] = centre(rect)
    const along = (otherX - x) * Number(dx) + (otherY - y) * Number(dy)
    const across = Math.abs((otherX - x) * Number(dy)) + Math.abs((otherY - y) * Number(dx))
    if (index === from || along < 1) continue
    const far = along + 2 * across
    if (far < least) [best, least] = [index, far]
  }
  // At the end of a row right goes on in the next, as in a text.
  if (best < 0 && key === 'ArrowRight' && from + 1 < rects.length) return from + 1
  if (best < 0 && key === 'ArrowLeft' && from > 0) return from - 1
  return best
}
