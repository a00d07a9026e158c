// The messages between the page and the worker. Types only.

export type Source = 'microphone' | 'camera' | 'screen' | 'screenAudio'
export type Interruption = 'hidden' | 'device' | 'frozen' | 'bandwidth' | 'overload'
export type ConnectionQuality = 'excellent' | 'good' | 'poor' | 'lost'
export type ReceiveQuality = 'auto' | 'high' | 'low' | 'audioOnly'
export type Limitation = { reason: 'none' | 'cpu' | 'bandwidth'; steps: string[] }
export type PlainError = import('../errors.js').PlainError
export type TrackInfo = {
  track: number; source: Source; version: number; muted: boolean; interrupted?: Interruption | null; config: Record<string, any>
}
export type ParticipantInfo = {
  id: string; name: string; protocol: 'v1' | 'v2'; away: boolean; hand?: number | null; quality?: ConnectionQuality | null; tracks: TrackInfo[]
}

export type ToWorker =
  /** edges: addresses, tried in turn; videoCodecs: wanted for sending, best first; decode: the features of hello that say what can be decoded */
  | { do: 'connect'; edges: string[]; room: string; name: string; videoCodecs: string[]; decode: string[] }
  | { do: 'disconnect' }
  /** The way to the edge may be another one, or this machine was asleep: is the connection still good? */
  | { do: 'networkChanged' }
  | { do: 'publishAudio'; source: Source; port: MessagePort }
  /** Its frames follow one by one. */
  | { do: 'publishVideo'; source: Source }
  | { do: 'frame'; source: Source; frame: VideoFrame }
  | { do: 'unpublish'; source: Source }
  | { do: 'mute'; source: Source; muted: boolean }
  /** The page's reason why a source sends nothing, told to the others; null: it sends again. */
  | { do: 'interrupt'; source: Source; reason: 'hidden' | 'device' | 'frozen' | null }
  | { do: 'playout'; participant: string; source: Source; memory: SharedArrayBuffer | null; port: MessagePort | null; channels: number }
  | { do: 'attach'; participant: string; source: Source; canvasId: number; canvas: OffscreenCanvas }
  | { do: 'detach'; canvasId: number }
  | { do: 'subscribe'; quality: ReceiveQuality }
  /** Whether any element shows this track of somebody else to the person; each track counts as visible until then. */
  | { do: 'visible'; participant: string; source: Source; visible: boolean }
  | { do: 'update'; hand: boolean }
  | { do: 'chat'; nonce: string; text?: string; image?: string }
  | { do: 'v1share'; type: number; payload: Uint8Array<ArrayBuffer> }

export type FromWorker =
  | { on: 'state'; state: import('../connection.js').ConnectionState; error: PlainError | null }
  /** edge: the address in use */
  | { on: 'welcome'; id: string; edge: string; uploads: string; participants: ParticipantInfo[] }
  | { on: 'roster'; joined: ParticipantInfo[]; updated: ParticipantInfo[]; left: { id: string; reason: string }[] }
  | { on: 'trackConfig'; participant: string; track: TrackInfo }
  | { on: 'trackStop'; participant: string; source: Source }
  | { on: 'picture'; participant: string; source: Source; width: number; height: number; first: boolean }
  /** The first sound or picture of this track can be played. */
  | { on: 'subscribed'; participant: string; source: Source; codec: string }
  | { on: 'subscriptionFailed'; participant: string; source: Source; error: PlainError }
  /** The worker's own reason why a local track sends nothing. */
  | { on: 'interrupted'; source: Source; reason: 'bandwidth' | 'overload' | null }
  | { on: 'constrained'; tracks: { participant: string; source: Source }[] }
  | { on: 'limitation'; reason: Limitation['reason']; steps: string[] }
  /** How good this participant's own connection is. */
  | { on: 'quality'; quality: ConnectionQuality; mos: number }
  | { on: 'chat'; participant: string; message: any }
  | { on: 'chatRefused'; error: PlainError }
  | { on: 'speakers'; levels: [string, number][]; speaking: string[] }
  | { on: 'v1share'; participant: string; type: number; payload: Uint8Array<ArrayBuffer> }
  | { on: 'error'; error: PlainError }
  | { on: 'statistics'; statistics: Record<string, any> }

export type Post = (message: FromWorker, transfer?: Transferable[]) => void
