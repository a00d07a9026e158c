// Owns the choice of an edge before a call: which ones are asked, and which of those measured is worth leaving the page's own for. The
// choice is pure; `findEdges` asks. Loaded ahead of a call, and by no call that names its edge.

import { defaults } from './defaults.js'

/**
 * @typedef {object} ListedEdge
 * @property {string} region
 * @property {string} url its origin
 * @property {boolean} draining
 * @property {boolean} [own] the one that answered; the page may know it by another address, as behind a proxy
 *
 * @typedef {{url: string, roundTripMs: number | null}} Measured null: it has not answered
 */

const limits = defaults.nearest

/** @param {ListedEdge} edge @param {string} own */
const isOwn = (edge, own) => edge.own || edge.url === own

/**
 * Which edges are measured: the page's own, and others where somebody may begin, of as many regions as there is room for.
 * @param {ListedEdge[]} edges @param {string} own origin of the page @param {number} random in [0, 1): where there are too many, pages differ
 * @returns {string[]} origins, the own one first
 */
export function candidates(edges, own, random) {
  const others = edges.filter((edge) => !isOwn(edge, own) && !edge.draining && edge.url.startsWith('https:') >= own.startsWith('https:'))
  const from = Math.floor(random * others.length)
  const turned = [...others.slice(from), ...others.slice(0, from)]
  const regions = turned.map(({ region }) => region)
  const firsts = turned.filter(({ region }, index) => regions.indexOf(region) === index)
  const ordered = [...new Set([...firsts, ...turned])]
  return [own, ...ordered.slice(0, limits.maxEdges - 1).map(({ url }) => url)]
}

/**
 * The edges to be tried, best first. The page's own is left only for a gain that a person may notice, or if it is about to stop.
 * @param {Measured[]} measured the page's own first @param {boolean} isDraining whether that one is about to stop @returns {string[]} origins
 */
export function choose([own, ...others], isDraining) {
  if (!own) return []
  const [best] = others.filter(({ roundTripMs }) => roundTripMs !== null).sort((a, b) => Number(a.roundTripMs) - Number(b.roundTripMs))
  if (!best) return [own.url]
  const gainMs = (own.roundTripMs ?? Infinity) - Number(best.roundTripMs)
  const isBetter = isDraining || (gainMs >= limits.gainMs && gainMs >= (own.roundTripMs ?? 0) * limits.gainShare)
  return isBetter ? [best.url, own.url] : [own.url]
}

/** @param {any} answer of /v1/nearest @returns {ListedEdge[]} what of it can be used */
export function readList(answer) {
  const edges = Array.isArray(answer?.edges) ? answer.edges : []
  return edges.filter((/** @type {any} */ edge) => typeof edge?.url === 'string' && /^https?:\/\/[\w.:[\]-]+$/.test(edge.url))
}

/**
 * Asks an edge a few times, as far as time goes.
 * @param {string} url @param {AbortSignal} signal @param {(roundTripMs: number) => void} onSample
 */
async function measure(url, signal, onSample) {
  for (let sample = 0; sample < limits.samples; sample++) {
    const address = `${url}/healthz?${sample}`
    const asked = performance.now()
    const response = await fetch(address, { cache: 'no-store', credentials: 'omit', signal })
    await response.text()
    const elapsedMs = performance.now() - asked
    if (!response.ok) return
    const timing = /** @type {PerformanceResourceTiming | undefined} */ (performance.getEntriesByName(address).at(-1))
    // Without what comes before the request: its place behind others, the name, the handshakes.
    onSample(timing && timing.requestStart > 0 ? timing.responseStart - timing.requestStart : elapsedMs)
  }
}

/**
 * Never longer than `budgetMs`: who has not answered by then is not near.
 * @param {string} own origin of the page @returns {Promise<string[]>} origins of the edges to be tried, best first
 */
export async function findEdges(own) {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), limits.budgetMs)
  try {
    const response = await fetch(`${own}/v1/nearest`, { cache: 'no-store', credentials: 'omit', signal: over.signal })
    const edges = readList(await response.json())
    const urls = candidates(edges, own, Math.random())
    if (urls.length === 1) return urls
    /** @type {Measured[]} */
    const measured = urls.map((url) => ({ url, roundTripMs: null }))
    await Promise.all(measured.map((edge) => measure(edge.url, over.signal, (ms) => (edge.roundTripMs = Math.min(edge.roundTripMs ?? ms, ms))).catch(() => {})))
    return choose(measured, edges.some((edge) => isOwn(edge, own) && edge.draining))
  } catch {
    return [own]
  } finally {
    clearTimeout(timer)
  }
}
