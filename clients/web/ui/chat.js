/**
 * The chat panel: messages, images, what is being sent and what was not. Text from people only ever becomes text nodes;
 * every blob URL it makes is revoked when the call is left.
 */
import { announceWho } from './announcer.js'
import { openDialog } from './dialog.js'
import { el, listen, sentenceOf, setAttribute } from './dom.js'
import { icon } from './icons.js'
import { splitLinks } from './links.js'
import { fitPicture } from './picture.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('../sdk/pulse.js').ChatMessage} ChatMessage */

const MAX_TEXT = 4_000
// The newest messages stay in the page; the room keeps no more than it must either.
const MAX_SHOWN = 500
const GROUP_MS = 3 * 60_000
const NEAR_END_PX = 80
const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp']

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {(unread: number) => void} options.onUnread
 * @param {AbortSignal} options.signal
 */
export function createChat({ room, onUnread, signal }) {
  /** Messages by their place in the room, so that an echo is never shown twice. @type {Map<string, HTMLElement>} */
  const shown = new Map()
  /** @type {ChatMessage | null} */
  let previous = null
  let open = false
  let unread = 0
  /** @type {Set<string>} */
  const urls = new Set()

  const empty = el('p', { class: 'chat-empty' }, 'No messages yet. What you write here reaches everybody in the room.')
  const list = el('ol', { class: 'chat-list', 'aria-label': 'Messages' })
  const pending = el('ol', { class: 'chat-list chat-pending', 'aria-label': 'Messages on their way' })
  const scroll = el('div', { class: 'panel-scroll', tabindex: '0', role: 'region', 'aria-label': 'Chat messages', onscroll: () => isAtEnd() && setAttribute(below, 'hidden', true) }, empty, list, pending)
  const below = el('button', { type: 'button', class: 'chip chat-below', hidden: true, onclick: toEnd }, icon('down'), 'New messages')
  const field = el('textarea', {
    rows: '1', maxlength: MAX_TEXT, placeholder: 'Message everybody', 'aria-label': 'Message', 'data-testid': 'chat-input', enterkeyhint: 'send',
    oninput: grow, onkeydown: keydown, onpaste: paste,
  })
  const files = el('input', { type: 'file', accept: IMAGE_TYPES.join(','), multiple: true, hidden: true, 'data-testid': 'chat-file', onchange: pick })
  const composer = el(
    'form',
    { class: 'composer', onsubmit: submit },
    files,
    el('button', { type: 'button', class: 'icon-button', 'aria-label': 'Send an image', 'data-tip': 'Send an image', 'data-testid': 'chat-attach', onclick: () => files.click() }, icon('image')),
    field,
    el('button', { type: 'submit', class: 'icon-button composer-send', 'aria-label': 'Send', 'data-testid': 'chat-send' }, icon('send')),
  )
  const element = el('div', { class: 'chat', ondragover: dragover, ondrop: drop }, scroll, below, composer)

  /** @param {SubmitEvent} event */
  function submit(event) {
    event.preventDefault()
    const text = field.value.trim()
    if (text === '') return
    field.value = ''
    grow()
    send({ text })
  }

  /** @param {KeyboardEvent} event */
  function keydown(event) {
    // While an input method composes, Enter chooses a word.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    composer.requestSubmit()
  }

  /** @param {ClipboardEvent} event */
  function paste(event) {
    const images = imagesIn(event.clipboardData)
    if (images.length === 0) return
    event.preventDefault()
    for (const image of images) send({ image })
  }

  /** @param {DragEvent} event */
  function dragover(event) {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault()
  }

  /** @param {DragEvent} event */
  function drop(event) {
    if (!event.dataTransfer?.types.includes('Files')) return
    event.preventDefault()
    for (const image of imagesIn(event.dataTransfer)) send({ image })
  }

  function pick() {
    for (const image of files.files ?? []) send({ image })
    files.value = ''
    field.focus()
  }

  function grow() {
    field.style.height = 'auto'
    field.style.height = `${field.scrollHeight}px`
  }

  /**
   * Shows what is being sent at once; the room's echo takes its place.
   * @param {{text: string} | {image: Blob}} content
   */
  function send(content) {
    const state = el('span', { class: 'chat-state', role: 'status' }, 'Sending…')
    const picture = 'image' in content ? pictureOf(content.image, 'Image being sent') : null
    const element = el(
      'li',
      { class: 'message message-own message-pending', 'data-testid': 'chat-pending' },
      el('div', { class: 'bubble' }, picture ? picture.element : 'text' in content ? content.text : ''),
      el('div', { class: 'chat-foot' }, state),
    )
    const foot = /** @type {HTMLElement} */ (element.lastElementChild)
    pending.append(element)
    empty.hidden = true
    toEnd()
    const done = () => {
      element.remove()
      picture?.revoke()
    }
    const attempt = async () => {
      element.classList.remove('message-failed')
      foot.replaceChildren(state)
      try {
        const message = 'text' in content ? await room.sendText(content.text) : await room.sendImage(await fitPicture(content.image))
        if (signal.aborted) return
        show(message)
        done()
      } catch (error) {
        if (signal.aborted) return
        element.classList.add('message-failed')
        foot.replaceChildren(
          el('span', { class: 'chat-failure', role: 'alert' }, icon('warning'), `Not sent. ${sentenceOf(error)}`),
          el('button', { type: 'button', class: 'link-button', onclick: () => void attempt() }, 'Retry'),
          el('button', { type: 'button', class: 'link-button', onclick: done }, 'Discard'),
        )
        toEnd()
      }
    }
    void attempt()
  }

  /** @param {ChatMessage} message */
  function show(message) {
    const key = `${message.seq}:${message.at}`
    if (shown.has(key)) return
    const follow = isAtEnd() || message.isLocal
    const sameBlock = previous?.participantId === message.participantId && message.at - previous.at < GROUP_MS
    const head = el(
      'div',
      { class: sameBlock ? 'chat-head visually-hidden' : 'chat-head' },
      el('span', { class: 'chat-author' }, message.isLocal ? 'You' : message.participantName),
      el('time', { datetime: new Date(message.at).toISOString() }, time.format(message.at)),
    )
    const bubble = el('div', { class: 'bubble', title: time.format(message.at) })
    if (message.image) showImage(bubble, message)
    else bubble.append(...textOf(message.text ?? ''))
    const element = el('li', { class: message.isLocal ? 'message message-own' : 'message', 'data-testid': 'chat-message', 'data-block': sameBlock ? 'next' : 'first' }, head, bubble)
    previous = message
    shown.set(key, element)
    list.append(element)
    empty.hidden = true
    while (shown.size > MAX_SHOWN) {
      const [oldest] = shown
      if (!oldest) break
      oldest[1].remove()
      shown.delete(oldest[0])
    }
    if (follow) toEnd()
    else below.hidden = false
    if (message.isLocal) return
    announceWho('message', message.participantName, message.text ?? 'an image')
    if (!open) {
      unread += 1
      onUnread(unread)
    }
  }

  /**
   * @param {HTMLElement} bubble
   * @param {ChatMessage} message
   */
  function showImage(bubble, message) {
    const image = message.image
    if (!image) return
    bubble.classList.add('bubble-image')
    const wait = el('p', { class: 'image-wait' }, 'Loading image…')
    bubble.replaceChildren(wait)
    room.fetchImage(image.ref).then(
      (blob) => {
        if (signal.aborted) return
        const follow = isAtEnd()
        const picture = pictureOf(blob, `Image from ${message.isLocal ? 'you' : message.participantName}`)
        const { element: img } = picture
        const enlarge = el('button', { type: 'button', class: 'image-button', 'aria-label': `Enlarge the ${img.alt.charAt(0).toLowerCase()}${img.alt.slice(1)}` }, img)
        enlarge.addEventListener('click', () => {
          openDialog(img.alt, el('img', { src: img.src, alt: img.alt, class: 'image-large' }))
        })
        img.dataset['testid'] = 'chat-image'
        img.addEventListener('load', () => follow && toEnd(), { once: true })
        bubble.replaceChildren(enlarge)
      },
      (error) => {
        if (signal.aborted) return
        bubble.replaceChildren(
          el('p', { class: 'image-wait' }, sentenceOf(error)),
          el('button', { type: 'button', class: 'link-button', onclick: () => showImage(bubble, message) }, 'Load again'),
        )
      },
    )
  }

  /**
   * @param {Blob} blob
   * @param {string} alt
   */
  function pictureOf(blob, alt) {
    const url = URL.createObjectURL(blob)
    urls.add(url)
    const revoke = () => {
      URL.revokeObjectURL(url)
      urls.delete(url)
    }
    return { element: el('img', { src: url, alt }), revoke }
  }

  function isAtEnd() {
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX
  }

  function toEnd() {
    below.hidden = true
    scroll.scrollTop = scroll.scrollHeight
  }

  listen(room, 'chatMessage', ({ message }) => show(message), signal)
  signal.addEventListener('abort', () => {
    for (const url of urls) URL.revokeObjectURL(url)
    urls.clear()
  })

  return {
    element,
    /** @param {boolean} now */
    setOpen(now) {
      open = now
      if (!now) return
      unread = 0
      onUnread(0)
      toEnd()
      field.focus()
    },
  }
}

/**
 * A message's text with its web addresses as links.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function textOf(text) {
  return splitLinks(text).map((part) => (part.href ? el('a', { href: part.href, target: '_blank', rel: 'noopener noreferrer' }, part.text) : part.text))
}

/** @param {DataTransfer | null} data */
function imagesIn(data) {
  return [...(data?.files ?? [])].filter((file) => file.type.startsWith('image/'))
}
