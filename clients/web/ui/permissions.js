/**
 * Whether this browser has been asked for camera and microphone, and what it said. Asks for nothing itself.
 */

/** `unknown`: the browser does not tell. @typedef {'granted' | 'prompt' | 'denied' | 'unknown'} Permission */

/**
 * @param {'camera' | 'microphone'} device
 * @returns {Promise<Permission>}
 */
export async function permissionOf(device) {
  try {
    return (await navigator.permissions.query({ name: /** @type {PermissionName} */ (device) })).state
  } catch {
    return 'unknown'
  }
}

/**
 * Calls back when an answer changes, as when somebody allows a device in the browser's own settings.
 * @param {() => void} changed
 * @param {AbortSignal} signal
 */
export async function watchPermissions(changed, signal) {
  for (const device of ['camera', 'microphone']) {
    const status = await navigator.permissions?.query({ name: /** @type {PermissionName} */ (device) }).catch(() => null)
    status?.addEventListener('change', changed, { signal })
  }
}
