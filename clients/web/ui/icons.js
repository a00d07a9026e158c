/**
 * Every icon of the app as inline SVG, drawn on a 24-unit grid with the colour of the text around it.
 * Icons are decoration: the control that holds one carries the label.
 */

const SVG = 'http://www.w3.org/2000/svg'

const STROKES = {
  microphone: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z M5.5 11a6.5 6.5 0 0 0 13 0 M12 17.5V21 M8.5 21h7',
  microphoneOff: 'M15 9.5V6a3 3 0 0 0-5.8-1.1 M9 9v2a3 3 0 0 0 4.6 2.5 M5.5 11a6.5 6.5 0 0 0 10 5.5 M18.5 11c0 1-.2 1.9-.6 2.7 M12 17.5V21 M8.5 21h7 M4 3.5 20.5 20',
  camera: 'M5 6.5h8.5a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Z M15.5 11l5.5-3v8l-5.5-3',
  cameraOff: 'M10 6.5h3.5a2 2 0 0 1 2 2v3.5 M15.5 15.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2h.5 M15.5 11l5.5-3v8l-3.5-1.9 M4 3.5 20.5 20',
  share: 'M5 4.5h14a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2Z M8 20.5h8 M12 14V8 M9 10.5l3-3 3 3',
  shareOff: 'M5 4.5h14a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2Z M8 20.5h8 M9.5 8.2l5 5 M14.5 8.2l-5 5',
  chat: 'M5.5 4.5h13a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2H12l-5 3.5V17H5.5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2Z M8 9h8 M8 12.5h5',
  participants: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Z M2.5 19.5c.5-3.3 3-5.5 6.5-5.5s6 2.2 6.5 5.5 M15.5 4.8a3.5 3.5 0 0 1 0 6.4 M17.5 14.3c2.2.8 3.6 2.7 4 5.2',
  more: 'M5 12h.01 M12 12h.01 M19 12h.01',
  leave: 'M3.5 14.5c-.7-1-.7-2.4.2-3.3 4.6-4.3 12-4.3 16.6 0 .9.9.9 2.3.2 3.3l-.5.7c-.4.6-1.2.8-1.9.5l-2.6-1.1c-.7-.3-1.1-1-1-1.7l.2-1.2a10 10 0 0 0-5.4 0l.2 1.2c.1.7-.3 1.4-1 1.7l-2.6 1.1c-.7.3-1.5.1-1.9-.5Z',
  invite: 'M10 13.5a4 4 0 0 0 5.9.400l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2 M14 10.5a4 4 0 0 0-5.9-.4l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2',
  close: 'M6 6l12 12 M18 6 6 18',
  send: 'M4.5 12 3.5 4.5 21 12 3.5 19.5Z M4.5 12H12',
  image: 'M5 4.5h14a1.5 1.5 0 0 1 1.5 1.5v12a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18V6A1.5 1.5 0 0 1 5 4.5Z M8.5 10.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3Z M4 17l4.5-4 3 2.5L16 11l4.5 4.5',
  check: 'M5 12.5l4.5 4.5L19.5 7',
  warning: 'M12 4 2.8 19.5h18.4Z M12 10v4.5 M12 17h.01',
  speaker: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z M15.5 9a4 4 0 0 1 0 6 M18 6.5a8 8 0 0 1 0 11',
  headphones: 'M4 15v-3a8 8 0 0 1 16 0v3 M4 15.5a1.5 1.5 0 0 1 1.5-1.5H7v6H5.5A1.5 1.5 0 0 1 4 18.5Z M20 15.5a1.5 1.5 0 0 0-1.5-1.5H17v6h1.5a1.5 1.5 0 0 0 1.5-1.5Z',
  statistics: 'M4 20V10 M10 20V4 M16 20v-8 M21.5 20h-19',
  expand: 'M9 4H4v5 M15 4h5v5 M9 20H4v-5 M15 20h5v-5',
  away: 'M3 9a13 13 0 0 1 18 0 M6.5 12.7a8 8 0 0 1 11 0 M12 18h.01 M9.7 15.8a3.3 3.3 0 0 1 4.6 0 M4 3.5 20.5 20',
  down: 'M6 9.5l6 6 6-6',
  hand: 'M7.5 13V6.2a1.4 1.4 0 0 1 2.8 0V11 M10.3 11V4.4a1.4 1.4 0 0 1 2.8 0V11 M13.1 11V5.4a1.4 1.4 0 0 1 2.8 0V12 M15.9 12V8.4a1.4 1.4 0 0 1 2.8 0V14.5a6.5 6.5 0 0 1-6.5 6.5c-2.6 0-4.1-1-5.4-3.1l-2.5-4a1.45 1.45 0 0 1 2.4-1.6L7.5 13.5',
  pin: 'M9 4h6 M10 4v5.5L7.5 13v1.5h9V13L14 9.5V4 M12 14.5V20.5',
  unpin: 'M9 4h6 M10 4v2 M14 4v5.5l2.5 3.5v1.5h-2 M10 9.5 7.5 13v1.5H12V20.5 M4 3.5 20.5 20',
  signal: 'M5 19.5v-3 M10 19.5V13 M15 19.5V9 M20 19.5V5',
  signalPoor: 'M4.5 19.5v-4.5 M10.5 19.5V11 M17.5 5v8 M17.5 18.5h.01',
  signalGood: 'M5 19.5v-3 M10 19.5V13 M15 19.5V9',
  previous: 'M14.5 6l-6 6 6 6',
  next: 'M9.5 6l6 6-6 6',
  keyboard: 'M4.5 6.5h15a1.5 1.5 0 0 1 1.5 1.5v8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.5Z M6.5 10.5h.01 M10.2 10.5h.01 M13.8 10.5h.01 M17.5 10.5h.01 M8 14h8',
  pause: 'M9 6.5v11 M15 6.5v11',
  copy: 'M9.5 8.5h8a1.5 1.5 0 0 1 1.5 1.5v8.5a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 8 18.5V10a1.5 1.5 0 0 1 1.5-1.5Z M5 15.5V6A1.5 1.5 0 0 1 6.5 4.5h8',
}

/** @typedef {keyof typeof STROKES} IconName */

/**
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', `icon icon-${name}`)
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', STROKES[name])
  svg.append(path)
  return svg
}

/** The mark of Pulse: one beat on a rounded square. */
export function logo() {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 32 32')
  svg.setAttribute('class', 'logo')
  svg.setAttribute('aria-hidden', 'true')
  const square = document.createElementNS(SVG, 'rect')
  for (const [name, value] of Object.entries({ width: '32', height: '32', rx: '9' })) square.setAttribute(name, value)
  const beat = document.createElementNS(SVG, 'path')
  beat.setAttribute('d', 'M6 17h4.2l2.6-8 5 15 3-9.5 1.4 2.5H26')
  svg.append(square, beat)
  return svg
}
