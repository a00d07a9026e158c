// Owns the count of what a page holds: listeners, tracks, sockets, workers, contexts, codecs, timers. Runs before the app.

/** Serialised into the page; nothing outside of it exists there. */
export function installLedger() {
  /** @type {Map<string, Set<unknown>>} */
  const held = new Map()
  const of = (kind) => held.get(kind) ?? held.set(kind, new Set()).get(kind)

  // Listeners on what outlives a call. One with a signal goes with it.
  const names = new Map([[globalThis, 'window'], [document, 'document'], [navigator.mediaDevices, 'mediaDevices'], [navigator.connection, 'connection']])
  const nameOf = (target) => names.get(target) ?? (target instanceof MediaStreamTrack ? 'track' : target instanceof PermissionStatus ? 'permission' : null)
  const { addEventListener, removeEventListener } = EventTarget.prototype
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const name = nameOf(this ?? globalThis)
    if (name && lab.counting) {
      const key = `${name}/${type}`
      const { signal, once } = typeof options === 'object' ? options : {}
      if (!signal?.aborted) {
        of(key).add(listener)
        if (signal) addEventListener.call(signal, 'abort', () => of(key).delete(listener))
        if (once) addEventListener.call(this, type, () => of(key).delete(listener))
        if (this instanceof MediaStreamTrack) {
          // A track that is over holds nobody.
          const { stop } = this
          this.stop = () => {
            of(key).delete(listener)
            stop.call(this)
          }
        }
      }
    }
    return addEventListener.call(this, type, listener, options)
  }
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    held.get(`${nameOf(this ?? globalThis)}/${type}`)?.delete(listener)
    return removeEventListener.call(this, type, listener, options)
  }

  const count = (name, end, isOver = () => false) => {
    const Original = globalThis[name]
    if (!Original) return
    globalThis[name] = class extends Original {
      constructor(...given) {
        super(...given)
        of(name).add(this)
      }
      [end](...given) {
        of(name).delete(this)
        return super[end](...given)
      }
    }
    Object.defineProperty(globalThis[name], 'isOver', { value: isOver })
  }
  count('Worker', 'terminate')
  count('AudioContext', 'close')
  count('WebSocket', 'close')
  count('IntersectionObserver', 'disconnect')
  count('VideoDecoder', 'close')
  count('VideoEncoder', 'close')

  for (const method of ['getUserMedia', 'getDisplayMedia']) {
    const open = navigator.mediaDevices[method].bind(navigator.mediaDevices)
    navigator.mediaDevices[method] = async (options) => {
      const stream = await open(options)
      for (const track of stream.getTracks()) of('MediaStreamTrack').add(track)
      return stream
    }
  }
  const { clone } = MediaStreamTrack.prototype
  MediaStreamTrack.prototype.clone = function () {
    const copy = clone.call(this)
    of('MediaStreamTrack').add(copy)
    return copy
  }

  const { setInterval: every, clearInterval: end } = globalThis
  globalThis.setInterval = (...given) => {
    const id = every(...given)
    if (lab.counting) of('interval').add(id)
    return id
  }
  globalThis.clearInterval = (id) => {
    held.get('interval')?.delete(id)
    end(id)
  }

  const lab = {
    counting: false,
    /** What is held now, without what is nothing. */
    read() {
      const counts = {}
      for (const [kind, things] of held) {
        const alive = [...things].filter((thing) => !(thing instanceof MediaStreamTrack && thing.readyState === 'ended'))
        if (alive.length > 0) counts[kind] = alive.length
      }
      return counts
    },
  }
  globalThis.ledger = lab
}
