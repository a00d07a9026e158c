// Owns the chat of a room: the messages seen, the ones waiting for their echo, and images by HTTP. Never shows anything.

import { defaults } from './defaults.js'
import { fromPlain, PulseError } from './errors.js'
import { MAX_CHAT, MAX_IMAGE } from './wire.js'

/**
 * @typedef {object} ChatMessage
 * @property {string} participantId
 * @property {string} participantName
 * @property {boolean} isLocal
 * @property {number} seq
 * @property {number} at ms since 1970
 * @property {string} [text]
 * @property {{ref: string, mime: string, bytes: number}} [image]
 *
 * @typedef {object} Pending
 * @property {(message: ChatMessage) => void} resolve
 * @property {(error: PulseError) => void} reject
 * @property {ReturnType<typeof setTimeout>} timer
 */

export class Chat {
  #send
  #imagesUrl = ''
  #token = ''
  /** @type {Map<string, Pending>} by nonce */
  #pending = new Map()
  /** The newest ones, in order. @type {ChatMessage[]} */
  messages = []

  /** @param {(message: {nonce: string, text?: string, image?: string}) => void} send */
  constructor(send) {
    this.#send = send
  }

  /** @param {string} token of the newest WELCOME @param {string} edge that keeps images: the socket's address */
  setEdge(token, edge) {
    this.#token = token
    this.#imagesUrl = new URL('/v2/images', edge.replace('ws', 'http')).href
  }

  /** @param {string} text @returns {Promise<ChatMessage>} */
  async sendText(text) {
    if (text.trim() === '') throw new PulseError('empty_message')
    const nonce = crypto.randomUUID()
    if (new TextEncoder().encode(JSON.stringify({ nonce, text })).length > MAX_CHAT) throw new PulseError('chat_too_long')
    return this.#await(nonce, { nonce, text })
  }

  /** @param {Blob} blob @returns {Promise<ChatMessage>} */
  async sendImage(blob) {
    if (blob.size > MAX_IMAGE) throw new PulseError('image_too_large')
    if (blob.size === 0) throw new PulseError('not_an_image')
    const response = await this.#request(this.#imagesUrl, { method: 'POST', body: blob })
    const { ref } = await response.json()
    const nonce = crypto.randomUUID()
    return this.#await(nonce, { nonce, image: ref })
  }

  /** @param {string} ref @returns {Promise<Blob>} */
  async fetchImage(ref) {
    const response = await this.#request(`${this.#imagesUrl}/${encodeURIComponent(ref)}`, {})
    return response.blob()
  }

  /** @param {ChatMessage} message @param {string} nonce */
  received(message, nonce) {
    this.messages.push(message)
    if (this.messages.length > defaults.chat.maxMessages) this.messages.shift()
    const pending = message.isLocal ? this.#pending.get(nonce) : undefined
    if (!pending) return
    this.#pending.delete(nonce)
    clearTimeout(pending.timer)
    pending.resolve(message)
  }

  /** The edge has refused something, or the connection is gone: no echo will come. @param {PulseError} error */
  fail(error) {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer)
      reject(error)
    }
    this.#pending.clear()
  }

  /** @param {string} nonce @param {{nonce: string, text?: string, image?: string}} message @returns {Promise<ChatMessage>} */
  #await(nonce, message) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(nonce)
        reject(new PulseError('message_not_sent'))
      }, defaults.chat.echoTimeoutMs)
      this.#pending.set(nonce, { resolve, reject, timer })
      this.#send(message)
    })
  }

  /** @param {string} url @param {RequestInit} init */
  async #request(url, init) {
    let response
    try {
      response = await fetch(url, { ...init, headers: { Authorization: `Bearer ${this.#token}` } })
    } catch (cause) {
      throw new PulseError('connection_failed', { cause })
    }
    if (response.ok) return response
    const body = await response.json().catch(() => null)
    throw typeof body?.code === 'number' ? fromPlain(body) : new PulseError('internal_error')
  }
}
