/**
 * Makes a picture small enough for the chat. What already fits is sent as it is; animated pictures that do not fit are left alone.
 */

// The server's bound on an image, less a little.
const MAX_BYTES = 1_000_000
// Tried in turn; busy pictures need the smaller ones.
const SIDES_PX = [1_920, 1_280, 800]
const QUALITY = 0.82

/**
 * @param {Blob} image
 * @returns {Promise<Blob>} `image` itself where nothing better can be done; the server's answer then says what is wrong with it
 */
export async function fitPicture(image) {
  if (image.size <= MAX_BYTES || image.type === 'image/gif') return image
  const bitmap = await createImageBitmap(image).catch(() => null)
  if (!bitmap) return image
  try {
    for (const side of SIDES_PX) {
      const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height))
      const canvas = document.createElement('canvas')
      canvas.width = Math.max(1, Math.round(bitmap.width * scale))
      canvas.height = Math.max(1, Math.round(bitmap.height * scale))
      canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
      const smaller = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => canvas.toBlob(resolve, 'image/jpeg', QUALITY))
      if (smaller && smaller.size <= MAX_BYTES) return smaller
    }
    return image
  } finally {
    bitmap.close()
  }
}
