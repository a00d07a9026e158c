// Declares what TypeScript's DOM library leaves out: the globals of an AudioWorklet and of a worker, and MediaStreamTrackProcessor.

declare const sampleRate: number
declare function registerProcessor(name: string, processor: new (options: any) => AudioWorkletProcessor): void
declare class AudioWorkletProcessor {
  readonly port: MessagePort
}

interface MediaStreamTrackProcessor {
  readonly readable: ReadableStream<VideoFrame>
}
declare var MediaStreamTrackProcessor: {
  prototype: MediaStreamTrackProcessor
  new (init: { track: MediaStreamTrack; maxBufferSize?: number }): MediaStreamTrackProcessor
}

interface AudioContext {
  readonly sinkId: string
  setSinkId(id: string): Promise<void>
}

/** The part of DedicatedWorkerGlobalScope that worker.js uses. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null
  postMessage(message: unknown, transfer?: Transferable[]): void
  close(): void
}
