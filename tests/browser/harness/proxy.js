// Owns a TCP proxy between page and edge, so that a test can break the connection as networks do. Forwards bytes, reads none.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** @param {number} port of the edge, on localhost */
export async function startProxy(port) {
  const proxy = new Proxy(port)
  await proxy.listen()
  return proxy
}

class Proxy {
  origin = ''
  accepted = 0
  #sockets = new Set()
  #refusing = false
  #server

  /** @param {number} port */
  constructor(port) {
    this.#server = createServer((client) => {
      if (this.#refusing) {
        client.on('error', () => {})
        client.resetAndDestroy()
        return
      }
      this.accepted++
      client.setNoDelay(true)
      const edge = connect({ port, host: 'localhost', noDelay: true })
      for (const [from, to] of [[client, edge], [edge, client]]) {
        this.#sockets.add(from)
        from.on('error', () => {})
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
        from.pipe(to)
      }
    })
  }

  async listen() {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.origin = `http://127.0.0.1:${this.#server.address().port}`
  }

  /** Resets everything that is open, and everything new until `restore`. */
  cut() {
    this.#refusing = true
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Nothing passes any more on what is open, and nobody is told. New connections work. */
  silence() {
    for (const socket of this.#sockets) {
      socket.unpipe()
      // What is swallowed here is acknowledged all the same.
      socket.resume()
    }
  }

  restore() {
    this.#refusing = false
  }

  async close() {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
