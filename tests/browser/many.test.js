// A full room in one page: sixteen pictures at once stay alive, nobody's sound suffers, and the page goes on answering.

import assert from 'node:assert/strict'
import { startBots } from './harness/bots.js'
import { theatre } from './harness/play.js'

const BOTS = 16
const SETTLE_MS = 5000
const MEASURED_MS = 20_000
const MIN_FPS = 12
const MAX_CONCEALED = 0.01
const LONG_TASK_MS = 100

const play = theatre()

play('sixteen bots are seen and heard in one page', async ({ enter, link, note, onEnd }) => {
  onEnd(startBots(link, ['--count', String(BOTS), '--speaking', '3', '--send-only']))
  const ada = await enter('Ada')
  await ada.join(link)
  await ada.sees(BOTS + 1)
  await ada.page.waitForFunction((bots) => globalThis.pulseRoom.statistics().received?.tracks.filter((track) => track.drawn > 0).length >= bots, BOTS)

  const result = await ada.page.evaluate(async ({ settleMs, measuredMs }) => {
    const room = globalThis.pulseRoom
    const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
    await wait(settleMs)
    /** @type {number[]} */
    const longTasks = []
    const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => Math.round(duration))))
    observer.observe({ type: 'longtask' })
    const before = await globalThis.pulseProbe.freshStatistics()
    const from = performance.now()
    await wait(measuredMs)
    const after = await globalThis.pulseProbe.freshStatistics()
    const seconds = (performance.now() - from) / 1000
    observer.disconnect()
    const isVisible = (/** @type {string} */ id) => {
      const tile = document.querySelector(`[data-testid=tile][data-participant="${id}"]`)
      const { top, left, bottom, right, width } = tile?.getBoundingClientRect() ?? {}
      return width > 0 && top < innerHeight && bottom > 0 && left < innerWidth && right > 0
    }
    const gained = (/** @type {any} */ track, /** @type {string} */ counter) => {
      const earlier = before.received.tracks.find(({ participantId, source }) => participantId === track.participantId && source === track.source)
      return track[counter] - (earlier?.[counter] ?? 0)
    }
    const tracks = after.received.tracks
    return {
      seconds,
      longTasks,
      state: room.state,
      limitation: after.limitation,
      videos: tracks.filter(({ kind }) => kind === 'video').map((track) => ({ visible: isVisible(track.participantId), fps: gained(track, 'drawn') / seconds })),
      sounds: tracks.filter(({ kind }) => kind === 'audio').map((track) => ({ playedMs: gained(track, 'decoded') * 20, concealedMs: gained(track, 'concealedMs') })),
    }
  }, { settleMs: SETTLE_MS, measuredMs: MEASURED_MS })

  const visible = result.videos.filter((video) => video.visible)
  const mean = visible.reduce((sum, { fps }) => sum + fps, 0) / visible.length
  const worst = Math.min(...visible.map(({ fps }) => fps))
  const spoken = result.sounds.filter(({ playedMs }) => playedMs > 0)
  const concealed = spoken.reduce((sum, { concealedMs }) => sum + concealedMs, 0) / spoken.reduce((sum, { playedMs }) => sum + playedMs, 0)
  const longest = Math.max(0, ...result.longTasks)
  note(`${visible.length} of ${result.videos.length} pictures in view: ${mean.toFixed(1)} fps mean, ${worst.toFixed(1)} the slowest; ${spoken.length} speakers, ${(concealed * 100).toFixed(2)} % concealed`)
  note(`long tasks: ${result.longTasks.length}, the longest ${longest} ms; shed: ${JSON.stringify(result.limitation)}`)
  await ada.screenshot('many')
  assert.ok(visible.length >= 9, `${visible.length} tiles in view`)
  assert.ok(mean >= MIN_FPS, `${mean} fps`)
  assert.ok(spoken.length >= 3)
  assert.ok(concealed <= MAX_CONCEALED, `${concealed} concealed`)
  assert.ok(longest <= LONG_TASK_MS, `a task of ${longest} ms`)
})
