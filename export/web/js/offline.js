// Installs the service worker, which keeps the site in the browser, and tells how it stands.

const WORKER = new URL("../service-worker.js", import.meta.url);

// On the developer's own machine another bundle is served at the same address next time.
const AT_HOME = ["localhost", "127.0.0.1"].includes(location.hostname);

/**
 * Keeps the site for use without a network.
 *
 * @param {object} told
 * @param {() => void} [told.onReady] all files are kept: the page works without a network now
 * @param {(apply: () => void) => void} [told.onUpdate] a newer version is kept and waits; `apply`
 *     opens the page again with it. On localhost this is done at once, and nothing is told.
 * @param {(reason: Error) => void} [told.onFailure] the page works, but not without a network: the
 *     browser has no service workers here, the certificate is not trusted, or there is no room
 */
export async function keepOffline({ onReady, onUpdate, onFailure } = {}) {
  try {
    if (!("serviceWorker" in navigator)) {
      throw new Error("service workers need HTTPS, and no private window");
    }
    const before = navigator.serviceWorker.controller;
    const registration = await navigator.serviceWorker.register(WORKER, { updateViaCache: "none" });
    if (before) watch(registration, onUpdate);
    await whenActive(registration);
    onReady?.();
  } catch (error) {
    onFailure?.(error);
  }
}

/** Tells of each newer version as soon as it is kept whole. */
function watch(registration, onUpdate) {
  const offer = () => {
    const apply = () => takeOver(registration.waiting);
    if (AT_HOME) apply();
    else onUpdate?.(apply);
  };
  const follow = (worker) => {
    worker?.addEventListener("statechange", () => {
      if (worker.state === "installed") offer();
    });
  };
  if (registration.waiting) offer();
  follow(registration.installing);
  registration.addEventListener("updatefound", () => follow(registration.installing));
}

function takeOver(worker) {
  const reload = () => location.reload();
  navigator.serviceWorker.addEventListener("controllerchange", reload, { once: true });
  worker?.postMessage("take over");
}

/** Resolves when a worker is active; rejects when the first one could not keep the files. */
function whenActive(registration) {
  if (registration.active) return Promise.resolve();
  const worker = registration.installing ?? registration.waiting;
  return new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("not all files could be kept"));
    });
  });
}
