// Owns the page's devices in a test: the browser's fake ones, which can be unplugged, refused or taken away. Runs before the app.

/** Serialised into the page; nothing outside of it exists there. */
export function installDeviceLab() {
  const { mediaDevices, permissions } = navigator
  const gone = new Set()
  let swapped = false
  const real = { open: mediaDevices.getUserMedia.bind(mediaDevices), list: mediaDevices.enumerateDevices.bind(mediaDevices), query: permissions.query.bind(permissions) }
  const KINDS = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' }
  const statuses = []

  const fail = (name, message = name) => {
    throw name === 'OverconstrainedError' ? new OverconstrainedError('deviceId', message) : new DOMException(message, name)
  }

  /** The microphone that is the system's default one, as its entry "default" tells on real machines. */
  const defaultOf = (devices) => {
    const own = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId !== 'default')
    return swapped ? own.at(-1) : own[0]
  }
  mediaDevices.enumerateDevices = async () => {
    const devices = (await real.list()).filter(({ deviceId }) => !gone.has(deviceId))
    const standard = defaultOf(devices)
    return devices.flatMap((device) => {
      if (device.kind !== 'audioinput' || device.deviceId !== 'default') return [device]
      return standard ? [{ kind: device.kind, deviceId: 'default', groupId: standard.groupId, label: standard.label }] : []
    })
  }

  mediaDevices.getUserMedia = async (constraints) => {
    const source = constraints.audio ? 'microphone' : 'camera'
    const asked = (constraints.audio || constraints.video).deviceId?.exact
    if (lab.refuse) fail(lab.refuse.name, lab.refuse.message)
    if (statuses.some(({ name, refused }) => name === source && refused)) fail('NotAllowedError')
    const devices = (await mediaDevices.enumerateDevices()).filter(({ kind }) => kind === KINDS[source])
    // The last one of each kind is the one that fools.
    const trick = asked === devices.at(-1)?.deviceId ? lab.trick : ''
    if (devices.length === 0) fail('NotFoundError')
    if (asked && !devices.some(({ deviceId }) => deviceId === asked)) fail('OverconstrainedError')
    if (trick === 'missing') fail('OverconstrainedError')
    if (trick === 'busy') fail('NotReadableError')
    let given = asked
    if (trick === 'other') given = devices.find(({ deviceId }) => deviceId !== asked && deviceId !== 'default').deviceId
    const byDefault = source === 'microphone' && (!asked || asked === 'default')
    if (byDefault) given = defaultOf(devices).deviceId
    else if (!asked && gone.size > 0) given = devices[0].deviceId
    const kind = constraints.audio ? 'audio' : 'video'
    const stream = await real.open({ [kind]: { ...constraints[kind], ...(given && { deviceId: { exact: given } }) } })
    const [track] = stream.getTracks()
    if (byDefault) {
      const settings = track.getSettings()
      track.getSettings = () => ({ ...settings, deviceId: 'default' })
    }
    // A device that is there and gives nothing.
    if (trick === 'mute') track.clone = () => {
      const silent = kind === 'audio' ? stopped() : document.createElement('canvas').captureStream(0).getTracks()[0]
      return silent
    }
    return stream
  }
  /** A track of sound from which nothing ever comes. */
  const stopped = () => {
    const context = new AudioContext()
    const [track] = context.createMediaStreamDestination().stream.getTracks()
    void context.close()
    return track
  }

  permissions.query = async (descriptor) => {
    const status = await real.query(descriptor)
    const own = Object.assign(new EventTarget(), { name: descriptor.name, refused: false })
    Object.defineProperty(own, 'state', { get: () => lab.refuse?.permission ?? (own.refused ? 'denied' : status.state) })
    const earlier = statuses.find(({ name }) => name === descriptor.name)
    own.refused = earlier?.refused ?? false
    statuses.push(own)
    return own
  }

  const changed = () => mediaDevices.dispatchEvent(new Event('devicechange'))
  /** The browser's end of a track: its event is never sent for one's own stop(). */
  const over = (track) => {
    track.stop()
    track.dispatchEvent(new Event('ended'))
  }

  const lab = {
    refuse: null,
    trick: '',
    events: [],
    /** Tracks that are published, by what opened them. */
    tracks: new Map(),
    track: (source) => lab.tracks.get(source),
    inUse(source) {
      const track = lab.track(source)
      return { deviceId: track.getSettings().deviceId, live: track.readyState === 'live' }
    },
    end: (source) => over(lab.track(source)),
    unplug(id) {
      gone.add(id)
      for (const source of ['microphone', 'camera']) {
        const track = lab.track(source)
        if (track?.getSettings().deviceId === id) over(track)
      }
      changed()
    },
    plug(id) {
      gone.delete(id)
      changed()
    },
    async unplugAll(source) {
      for (const { kind, deviceId } of await real.list()) if (kind === KINDS[source]) gone.add(deviceId)
      over(lab.track(source))
      changed()
    },
    plugAll() {
      gone.clear()
      changed()
    },
    changeDefault() {
      swapped = true
      changed()
    },
    permit(source, granted) {
      for (const status of statuses) {
        if (status.name !== source) continue
        status.refused = !granted
        status.dispatchEvent(new Event('change'))
      }
    },
    /** Keeps the room's events. */
    listen() {
      const names = ['deviceFailed', 'deviceRecovered', 'deviceChanged', 'devicesChanged', 'trackInterrupted', 'microphoneSilent', 'localTrackUnpublished', 'audioPlaybackChanged']
      for (const name of names) {
        globalThis.pulseRoom.addEventListener(name, ({ detail }) => {
          const { source, deviceId, groupId, label, error, reason, silent, canPlay } = detail
          lab.events.push({ name, at: performance.now(), source, deviceId, groupId, label, reason, silent, canPlay, error: error && { name: error.name, message: error.message } })
        })
      }
    },
    /** Waits for these events in this order, from that one on. */
    async wait(names, from, started) {
      const until = performance.now() + 15_000
      for (;;) {
        const found = []
        for (const event of lab.events.slice(from)) if (event.name === names[found.length]) found.push({ ...event, afterMs: Math.round(event.at - started) })
        if (found.length >= names.length) return found
        if (performance.now() > until) throw new Error(`waited for ${names}, came ${JSON.stringify(lab.events.slice(from))}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
  }
  // What is sent is what the room's graph and encoders are given.
  const createSource = AudioContext.prototype.createMediaStreamSource
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const [track] = stream.getAudioTracks()
    if (!track.label.includes('System')) lab.tracks.set('microphone', track)
    return createSource.call(this, stream)
  }
  const Processor = globalThis.MediaStreamTrackProcessor
  const originals = new WeakSet()
  const open = mediaDevices.getUserMedia
  mediaDevices.getUserMedia = async (constraints) => {
    const stream = await open(constraints)
    for (const track of stream.getVideoTracks()) originals.add(track)
    return stream
  }
  const share = mediaDevices.getDisplayMedia.bind(mediaDevices)
  mediaDevices.getDisplayMedia = async (options) => {
    const stream = await share(options)
    lab.tracks.set('screen', stream.getVideoTracks()[0])
    return stream
  }
  globalThis.MediaStreamTrackProcessor = class extends Processor {
    constructor(init) {
      super(init)
      if (originals.has(init.track)) lab.tracks.set('camera', init.track)
    }
  }
  globalThis.deviceLab = lab
}
