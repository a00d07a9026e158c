// Owns what the browser does to the page around a call: hides, freezes and buries it, changes the network under it. Says so, and no more.

/**
 * @typedef {object} LifecycleHandlers
 * @property {() => void} onNetwork the way to the edge may be another one
 * @property {(frozen: boolean) => void} onFrozen
 * @property {() => void} onShown the page is looked at again
 * @property {() => void} onGone the page is left, maybe for good
 * @property {() => void} onBack and it was not for good
 */
export class Lifecycle {
  #closed = new AbortController()

  /** @param {LifecycleHandlers} handlers */
  constructor({ onNetwork, onFrozen, onShown, onGone, onBack }) {
    const { signal } = this.#closed
    for (const name of ['online', 'offline']) addEventListener(name, onNetwork, { signal })
    const { connection } = /** @type {any} */ (navigator)
    connection?.addEventListener('change', onNetwork, { signal })
    document.addEventListener('freeze', () => onFrozen(true), { signal })
    document.addEventListener('resume', () => {
      onFrozen(false)
      onNetwork()
    }, { signal })
    document.addEventListener('visibilitychange', () => document.hidden || onShown(), { signal })
    addEventListener('pagehide', onGone, { signal })
    addEventListener('pageshow', ({ persisted }) => persisted && onBack(), { signal })
  }

  close() {
    this.#closed.abort()
  }
}
