// Owns the count of decoded and captured pictures that a worker holds open. Runs inside the SDK's worker, beside it; changes nothing.

/** Serialised into the worker; nothing outside of it exists there. */
function installFrameCounter() {
  const closed = new WeakSet()
  const counts = { seen: 0, open: 0 }
  const see = (/** @type {unknown} */ frame) => {
    if (!(frame instanceof Original)) return
    counts.seen++
    counts.open++
  }
  const Original = VideoFrame
  const { close } = Original.prototype
  Original.prototype.close = function () {
    if (!closed.has(this)) counts.open--
    closed.add(this)
    return close.call(this)
  }
  globalThis.VideoFrame = new Proxy(Original, { construct: (target, given) => {
    const frame = new target(...given)
    see(frame)
    return frame
  } })
  globalThis.VideoDecoder = new Proxy(VideoDecoder, { construct: (target, [{ output, error }]) => new target({ error, output: (frame) => {
    see(frame)
    output(frame)
  } }) })
  const { read } = ReadableStreamDefaultReader.prototype
  ReadableStreamDefaultReader.prototype.read = async function () {
    const result = await read.call(this)
    see(result.value)
    return result
  }
  Object.assign(globalThis, { frameCounts: counts })
}

/** To be called before there are pictures. @param {import('./browser.js').Person} one */
export async function countFrames(one) {
  for (const worker of one.page.workers()) await worker.evaluate(installFrameCounter)
}

/** @param {import('./browser.js').Person} one @returns {Promise<{seen: number, open: number}>} of its worker */
export async function framesOf(one) {
  const all = await Promise.all(one.page.workers().map((worker) => worker.evaluate(() => globalThis.frameCounts)))
  return all.reduce((sum, { seen, open }) => ({ seen: sum.seen + seen, open: sum.open + open }), { seen: 0, open: 0 })
}
