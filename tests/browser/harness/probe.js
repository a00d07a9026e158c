// Owns what a test measures inside a page: pictures on elements, sound in the room's output. Runs before the app and leaves it alone.

/** Serialised into the page; nothing outside of it exists there. */
export function installProbe() {
  const canvas = document.createElement('canvas')
  canvas.width = 64
  canvas.height = 36
  const context = canvas.getContext('2d', { willReadFrequently: true })

  /** @param {any} element canvas or video */
  function look(element) {
    context.clearRect(0, 0, canvas.width, canvas.height)
    const width = element.videoWidth ?? element.width
    const height = element.videoHeight ?? element.height
    if (width > 0 && height > 0) context.drawImage(element, 0, 0, canvas.width, canvas.height)
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
    let hash = 0
    let brightest = 0
    const colours = new Set()
    for (let index = 0; index < data.length; index += 4) {
      const colour = (data[index] << 16) | (data[index + 1] << 8) | data[index + 2]
      hash = (Math.imul(hash, 31) + colour) | 0
      colours.add(colour & 0xe0e0e0)
      brightest = Math.max(brightest, data[index], data[index + 1], data[index + 2])
    }
    return { width, height, hash, brightest, colours: colours.size }
  }

  /** The colour in the top left corner of an element's picture. */
  function corner(element) {
    look(element)
    return [...context.getImageData(2, 2, 1, 1).data].slice(0, 3)
  }

  /** Waits for `wanted` different pictures. */
  async function moving(element, wanted, limitMs) {
    const from = performance.now()
    const seen = new Set()
    for (;;) {
      const picture = look(element)
      if (picture.brightest > 0) seen.add(picture.hash)
      const ms = Math.round(performance.now() - from)
      if (seen.size >= wanted) return { pictures: seen.size, ms, width: picture.width, height: picture.height, colours: picture.colours }
      if (ms > limitMs) throw new Error(`${seen.size} of ${wanted} different pictures within ${ms} ms at ${picture.width}x${picture.height}, connected: ${element.isConnected}`)
      await new Promise(requestAnimationFrame)
    }
  }

  /** Calls back with an analyser on the room's output until it returns something. */
  async function listen(hear) {
    const { outputNode } = globalThis.pulseRoom
    const analyser = new AnalyserNode(outputNode.context, { fftSize: 2048, smoothingTimeConstant: 0 })
    outputNode.connect(analyser)
    try {
      for (;;) {
        const result = hear(analyser)
        if (result !== undefined) return result
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    } finally {
      outputNode.disconnect(analyser)
    }
  }

  /** Level around a frequency, in dB. */
  function levelAt(analyser, hz) {
    const bins = new Float32Array(analyser.frequencyBinCount)
    analyser.getFloatFrequencyData(bins)
    const bin = Math.round((hz / analyser.context.sampleRate) * analyser.fftSize)
    return Math.max(...bins.subarray(bin - 2, bin + 3))
  }

  function rms(analyser) {
    const samples = new Float32Array(analyser.fftSize)
    analyser.getFloatTimeDomainData(samples)
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
  }

  /** Waits for `wanted` rises of the level at `hz` out of silence there. */
  function onsets(hz, wanted, limitMs) {
    const from = performance.now()
    const heard = []
    let loud = false
    let highest = -Infinity
    return listen((analyser) => {
      const now = performance.now() - from
      const level = levelAt(analyser, hz)
      highest = Math.max(highest, level)
      if (!loud && level > -50) {
        loud = true
        heard.push(Math.round(now))
      } else if (loud && level < -65) loud = false
      if (heard.length >= wanted) return { heard, highest: Math.round(highest) }
      if (now > limitMs) throw new Error(`${heard.length} of ${wanted} sounds at ${hz} Hz within ${limitMs} ms; loudest ${Math.round(highest)} dB, context ${analyser.context.state}`)
      return undefined
    })
  }

  /** In how many of the looks of `spanMs` a tone of that level is there, from its first one on. */
  function steady(hz, spanMs, limitMs, atLeastDb = -50) {
    const from = performance.now()
    let first = 0
    let looks = 0
    let present = 0
    return listen((analyser) => {
      const now = performance.now()
      const there = levelAt(analyser, hz) > atLeastDb
      if (there && first === 0) first = now
      if (first === 0) {
        if (now - from > limitMs) throw new Error(`no tone at ${hz} Hz within ${limitMs} ms`)
        return undefined
      }
      looks++
      if (there) present++
      return now - first >= spanMs ? { looks, share: present / looks } : undefined
    })
  }

  /** Waits for `quietMs` without sound. */
  function quiet(quietMs, limitMs) {
    const from = performance.now()
    let since = from
    let loudest = 0
    return listen((analyser) => {
      const now = performance.now()
      const level = rms(analyser)
      if (level > 0.001) {
        since = now
        loudest = Math.max(loudest, level)
      }
      if (now - since >= quietMs) return { afterMs: Math.round(since - from) }
      if (now - from > limitMs) throw new Error(`never quiet for ${quietMs} ms; loudest ${loudest}`)
      return undefined
    })
  }

  /** Milliseconds from the click on `button` until `picture` shows something. */
  async function firstPictureAfterClick(button, picture, limitMs) {
    const clicked = await new Promise((resolve) => {
      document.querySelector(button).addEventListener('click', () => resolve(performance.now()), { capture: true, once: true })
    })
    performance.mark('join-pressed')
    for (;;) {
      const element = document.querySelector(picture)
      const ms = performance.now() - clicked
      if (element && look(element).brightest > 0) {
        performance.measure('first-picture', 'join-pressed')
        return Math.round(ms)
      }
      if (ms > limitMs) throw new Error(`no picture within ${limitMs} ms`)
      await new Promise(requestAnimationFrame)
    }
  }

  /** The room's counters, gathered after the call of this. */
  async function freshStatistics() {
    const { pulseRoom } = globalThis
    const before = JSON.stringify(pulseRoom.statistics())
    const until = performance.now() + 5000
    while (JSON.stringify(pulseRoom.statistics()) === before && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
    return pulseRoom.statistics()
  }

  Object.assign(globalThis, { pulseProbe: { corner, firstPictureAfterClick, freshStatistics, look, moving, onsets, quiet, steady, levelAt, rms, listen } })
}
