// Keeps the whole site in the browser, so that the camera works without a network.
//
// A site has one version, a hash over all its files, and site.json lists them with their hashes. A
// version is kept whole or not at all, in a cache of its own; what is asked for comes from there
// and never from two versions. A new version waits until the page asks for it.

const VERSION = "development"; // written by `taxonvision camera`, so that browsers notice a new one
const INDEX = "index.html";
const SITE = "site.json";

// Caches belong to the whole host, where there may be other sites: the name holds the folder.
const FOLDER = new URL(self.registration.scope).pathname;
const OURS = `taxonvision ${FOLDER} `;
const CACHE = OURS + VERSION;

self.addEventListener("install", (event) => event.waitUntil(keepAll()));

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const name = nameOf(event.request);
  if (name !== null) event.respondWith(answer(event.request, name));
});

/** The name of the file of this site that a request asks for, or null. */
function nameOf(request) {
  const url = new URL(request.url);
  const asked = request.method === "GET" && url.origin === self.location.origin;
  if (!asked || !url.pathname.startsWith(FOLDER)) return null;
  return url.pathname.slice(FOLDER.length) || INDEX;
}

async function answer(request, name) {
  const cache = await caches.open(CACHE);
  return (await cache.match(name)) ?? fetch(request);
}

async function keepAll() {
  const response = await fetched(SITE, { cache: "no-store" });
  const site = await response.clone().json();
  if (site.version !== VERSION) throw new Error(`${SITE} is of another version`);
  const old = await keptBefore();
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(
      site.files.map(async (name) => {
        const integrity = site.integrity[name];
        const kept = await old.match(name, integrity);
        await cache.put(name, kept ?? (await fetched(name, { cache: "no-cache", integrity })));
      }),
    );
    await cache.put(SITE, response);
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Fetches a file of the site; anything but the file itself is an error. */
async function fetched(name, options) {
  const response = await fetch(name, options);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  if (!response.redirected) return response;
  // Hosts that answer index.html with a redirection to the folder: a page must not come so.
  const { status, statusText, headers } = response;
  return new Response(await response.blob(), { status, statusText, headers });
}

/** Finds files by their hash in the version that was kept before: they need not be sent again. */
async function keptBefore() {
  for (const key of await ourCaches()) {
    const cache = await caches.open(key);
    const site = await (await cache.match(SITE))?.json();
    if (site === undefined) continue;
    return {
      match: async (name, integrity) =>
        site.integrity[name] === integrity ? cache.match(name) : undefined,
    };
  }
  return { match: async () => undefined };
}

async function takeOver() {
  for (const key of await ourCaches()) {
    if (key !== CACHE) await caches.delete(key);
  }
  await self.clients.claim(); // also of the page that was opened before there was a worker
}

async function ourCaches() {
  return (await caches.keys()).filter((key) => key.startsWith(OURS));
}
