import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gridLayout, stripLayout } from '../ui/grid.js'

const floors = [
  { name: 'desktop', width: 1240, height: 640 },
  { name: '4K', width: 3800, height: 1900 },
  { name: 'phone', width: 366, height: 640 },
  { name: 'phone on its side', width: 820, height: 250 },
]

/** @param {import('../ui/grid.js').Rect} a @param {import('../ui/grid.js').Rect} b */
const overlap = (a, b) => a.x < b.x + b.width - 0.01 && b.x < a.x + a.width - 0.01 && a.y < b.y + b.height - 0.01 && b.y < a.y + a.height - 0.01

for (const floor of floors) {
  test(`tiles stand inside the floor and never on each other: ${floor.name}`, () => {
    for (let count = 1; count <= 25; count += 1) {
      const layout = gridLayout({ count, ...floor, gap: 8, minTileWidth: 1 })
      assert.equal(layout.rects.length, count)
      for (const [index, rect] of layout.rects.entries()) {
        assert.ok(rect.x >= -0.01 && rect.x + rect.width <= floor.width + 0.01, `${count}: tile ${index} sticks out sideways`)
        assert.ok(rect.y >= -0.01 && rect.y + rect.height <= floor.height + 0.01, `${count}: tile ${index} sticks out below`)
        for (const other of layout.rects.slice(index + 1)) assert.ok(!overlap(rect, other), `${count}: tiles overlap`)
      }
      assert.equal(layout.visible, count)
    }
  })
}

test('no other number of columns gives larger tiles', () => {
  for (const floor of floors) {
    for (let count = 1; count <= 20; count += 1) {
      const chosen = gridLayout({ count, ...floor, gap: 8, minTileWidth: 1 }).rects[0]
      const narrowest = floor.width >= floor.height ? 4 / 3 : 3 / 4
      for (let columns = 1; columns <= count; columns += 1) {
        const rows = Math.ceil(count / columns)
        const cellWidth = (floor.width - 8 * (columns - 1)) / columns
        const cellHeight = (floor.height - 8 * (rows - 1)) / rows
        if (cellWidth <= 0 || cellHeight <= 0) continue
        const aspect = Math.min(16 / 9, Math.max(narrowest, cellWidth / cellHeight))
        const width = Math.min(cellWidth, cellHeight * aspect)
        assert.ok(chosen && chosen.width * chosen.height >= ((width * width) / aspect) * 0.99, `${floor.name}, ${count} tiles, ${columns} columns would be larger`)
      }
    }
  }
})

test('two people stand side by side on a desktop and above each other on a phone', () => {
  assert.deepEqual(pick(gridLayout({ count: 2, width: 1240, height: 640, gap: 8, minTileWidth: 112 })), { columns: 2, rows: 1 })
  assert.deepEqual(pick(gridLayout({ count: 2, width: 366, height: 640, gap: 8, minTileWidth: 112 })), { columns: 1, rows: 2 })
})

test('a last row that is not full is centred', () => {
  const { rects } = gridLayout({ count: 3, width: 800, height: 600, gap: 10, minTileWidth: 100 })
  const last = rects[2]
  assert.ok(last && Math.abs(last.x + last.width / 2 - 400) < 0.01)
})

test('a crowd scrolls instead of shrinking below the minimum', () => {
  const layout = gridLayout({ count: 100, width: 366, height: 640, gap: 8, minTileWidth: 112 })
  assert.equal(layout.columns, 3)
  assert.ok(layout.rects.every((rect) => rect.width >= 112))
  assert.ok(layout.contentHeight > 640)
  assert.ok(layout.visible < 100 && layout.visible >= 3)
  assert.ok(layout.rects.every((rect) => rect.y >= 0), 'the first row must not be centred out of reach')
})

test('a strip stands in one line and tells how many tiles are in view', () => {
  const side = stripLayout({ count: 10, width: 240, height: 600, gap: 8, direction: 'column' })
  assert.ok(side.rects.every((rect) => rect.x === 0 && rect.width === 240))
  assert.equal(side.visible, 4)
  const under = stripLayout({ count: 2, width: 366, height: 96, gap: 8, direction: 'row' })
  assert.equal(under.visible, 2)
  assert.ok(under.rects.every((rect) => rect.y === 0 && rect.height === 96))
})

test('nothing and nowhere give no tiles', () => {
  assert.equal(gridLayout({ count: 0, width: 100, height: 100, gap: 8, minTileWidth: 10 }).rects.length, 0)
  assert.equal(gridLayout({ count: 3, width: 0, height: 100, gap: 8, minTileWidth: 10 }).rects.length, 0)
  assert.equal(stripLayout({ count: 3, width: 100, height: 0, gap: 8, direction: 'row' }).rects.length, 0)
})

/** @param {import('../ui/grid.js').Layout} layout */
function pick({ columns, rows }) {
  return { columns, rows }
}
