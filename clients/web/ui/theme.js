/**
 * Light, dark, or as the system has it. The style sheet holds both sets of colours; this says which.
 */

/** @typedef {'system' | 'light' | 'dark'} Theme */

// The background of each, for the browser's own bars; app.css has the same.
const BACK = { light: '#f5f7f8', dark: '#0e1214' }

/** @param {string} theme anything unknown is the system's */
export function applyTheme(theme) {
  const chosen = theme === 'light' || theme === 'dark' ? theme : null
  if (chosen) document.documentElement.dataset['theme'] = chosen
  else delete document.documentElement.dataset['theme']
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
    const own = meta.getAttribute('media')?.includes('dark') ? 'dark' : 'light'
    meta.setAttribute('content', BACK[chosen ?? own])
  }
}
