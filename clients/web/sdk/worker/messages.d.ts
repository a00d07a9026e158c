// The messages between the page and the worker. Types only.

export type Source = 'microphone' | 'camera' | 'screen' | 'screenAudio'
export type PlainError = { name: string; message: string }
export type TrackInfo = { track: number; source: Source; version: number; muted: boolean; config: Record<string, any> }
export type ParticipantInfo = { id: string; name: string; protocol: 'v1' | 'v2'; away: boolean; tracks: TrackInfo[] }

export type ToWorker =
  | { do: 'connect'; url: string; room: string; name: string }
  | { do: 'disconnect' }
  | { do: 'online' }
  | { do: 'publishAudio'; source: Source; port: MessagePort }
  | { do: 'publishVideo'; source: Source; frames: ReadableStream<VideoFrame> | null }
  | { do: 'frame'; source: Source; frame: VideoFrame }
  | { do: 'unpublish'; source: Source }
  | { do: 'mute'; source: Source; muted: boolean }
  | { do: 'playout'; participant: string; source: Source; memory: SharedArrayBuffer | null; port: MessagePort | null; channels: number }
  | { do: 'attach'; participant: string; source: Source; canvasId: number; canvas: OffscreenCanvas }
  | { do: 'detach'; canvasId: number }
  | { do: 'subscribe'; audio: boolean; video: boolean }
  | { do: 'chat'; nonce: string; text?: string; image?: string }
  | { do: 'v1share'; type: number; payload: Uint8Array<ArrayBuffer> }

export type FromWorker =
  | { on: 'state'; state: import('../connection.js').ConnectionState; error: PlainError | null }
  | { on: 'welcome'; id: string; uploads: string; participants: ParticipantInfo[] }
  | { on: 'roster'; joined: ParticipantInfo[]; updated: ParticipantInfo[]; left: { id: string; reason: string }[] }
  | { on: 'trackConfig'; participant: string; track: TrackInfo }
  | { on: 'trackStop'; participant: string; source: Source }
  | { on: 'picture'; participant: string; source: Source; width: number; height: number; first: boolean }
  | { on: 'chat'; participant: string; message: any }
  | { on: 'chatRefused'; error: PlainError }
  | { on: 'speakers'; levels: [string, number][]; speaking: string[] }
  | { on: 'v1share'; participant: string; type: number; payload: Uint8Array<ArrayBuffer> }
  | { on: 'error'; error: PlainError }
  | { on: 'statistics'; statistics: Record<string, any> }

export type Post = (message: FromWorker, transfer?: Transferable[]) => void
