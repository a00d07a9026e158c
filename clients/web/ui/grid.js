/**
 * Where tiles stand: pure arithmetic from a count and a size to rectangles. Knows no element.
 */

/** @typedef {{x: number, y: number, width: number, height: number}} Rect */
/**
 * @typedef {object} Layout
 * @property {number} columns
 * @property {number} rows
 * @property {Rect[]} rects one for each tile, in order
 * @property {number} contentWidth what the tiles need, gaps included; more than the container's when it has to scroll
 * @property {number} contentHeight
 * @property {number} visible how many tiles stand fully inside the container before it scrolls
 */

const WIDEST_ASPECT = 16 / 9
// A landscape floor crops a 16:9 picture to 4:3 at most; an upright phone may crop to 3:4, or its tiles would be slits.
const NARROWEST_ASPECT_LANDSCAPE = 4 / 3
const NARROWEST_ASPECT_PORTRAIT = 3 / 4
const STRIP_ASPECT_COLUMN = 16 / 9
const STRIP_ASPECT_ROW = 4 / 3

/**
 * The grid with the largest tiles. Below `minTileWidth` tiles stop shrinking and the grid scrolls instead.
 * @param {{count: number, width: number, height: number, gap: number, minTileWidth: number}} floor
 * @returns {Layout}
 */
export function gridLayout({ count, width, height, gap, minTileWidth }) {
  if (count <= 0 || width <= 0 || height <= 0) return { columns: 0, rows: 0, rects: [], contentWidth: 0, contentHeight: 0, visible: 0 }
  const narrowest = width >= height ? NARROWEST_ASPECT_LANDSCAPE : NARROWEST_ASPECT_PORTRAIT
  let best = { columns: 1, rows: count, width: 0, height: 0, area: -1, empty: 0 }
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns)
    const cellWidth = (width - gap * (columns - 1)) / columns
    const cellHeight = (height - gap * (rows - 1)) / rows
    if (cellWidth <= 0 || cellHeight <= 0) continue
    const aspect = Math.min(WIDEST_ASPECT, Math.max(narrowest, cellWidth / cellHeight))
    const tileWidth = Math.min(cellWidth, cellHeight * aspect)
    const candidate = { columns, rows, width: tileWidth, height: tileWidth / aspect, area: (tileWidth * tileWidth) / aspect, empty: columns * rows - count }
    // Of equally large tiles the fuller grid looks calmer.
    const larger = candidate.area > best.area * 1.001
    const fuller = candidate.area > best.area * 0.999 && candidate.empty < best.empty
    if (larger || fuller) best = candidate
  }
  if (best.width < minTileWidth && count > 1) {
    const columns = Math.min(count, Math.max(1, Math.floor((width + gap) / (minTileWidth + gap))))
    const tileWidth = (width - gap * (columns - 1)) / columns
    best = { columns, rows: Math.ceil(count / columns), width: tileWidth, height: tileWidth / STRIP_ASPECT_ROW, area: 0, empty: 0 }
  }
  const contentWidth = best.columns * best.width + gap * (best.columns - 1)
  const contentHeight = best.rows * best.height + gap * (best.rows - 1)
  const top = Math.max(0, (height - contentHeight) / 2)
  const rects = Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / best.columns)
    const inRow = Math.min(best.columns, count - row * best.columns)
    const left = (width - inRow * best.width - gap * (inRow - 1)) / 2
    return {
      x: left + (index % best.columns) * (best.width + gap),
      y: top + row * (best.height + gap),
      width: best.width,
      height: best.height,
    }
  })
  const fullRows = Math.max(1, Math.floor((height + gap + 0.5) / (best.height + gap)))
  return { columns: best.columns, rows: best.rows, rects, contentWidth, contentHeight, visible: Math.min(count, fullRows * best.columns) }
}

/**
 * One line of tiles beside (column) or under (row) a stage.
 * @param {{count: number, width: number, height: number, gap: number, direction: 'column' | 'row'}} strip
 * @returns {Layout}
 */
export function stripLayout({ count, width, height, gap, direction }) {
  if (count <= 0 || width <= 0 || height <= 0) return { columns: 0, rows: 0, rects: [], contentWidth: 0, contentHeight: 0, visible: 0 }
  const upright = direction === 'column'
  const tileWidth = upright ? width : height * STRIP_ASPECT_ROW
  const tileHeight = upright ? width / STRIP_ASPECT_COLUMN : height
  const step = (upright ? tileHeight : tileWidth) + gap
  const length = count * step - gap
  const room = upright ? height : width
  const start = Math.max(0, (room - length) / 2)
  const rects = Array.from({ length: count }, (_, index) => ({
    x: upright ? 0 : start + index * step,
    y: upright ? start + index * step : 0,
    width: tileWidth,
    height: tileHeight,
  }))
  return {
    columns: upright ? 1 : count,
    rows: upright ? count : 1,
    rects,
    contentWidth: upright ? tileWidth : length,
    contentHeight: upright ? length : tileHeight,
    visible: Math.min(count, Math.max(1, Math.floor((room + gap + 0.5) / step))),
  }
}
