// The service worker of one target: what its pages ask of the root of this origin, they mean of the root of the target.
const scope = new URL(self.registration.scope);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isElsewhere = url.origin !== scope.origin || url.pathname.startsWith(scope.pathname) || request.mode === "navigate";
  if (isElsewhere) return;
  const mapped = scope.origin + scope.pathname.slice(0, -1) + url.pathname + url.search;
  event.respondWith(answer(request, mapped));
});

async function answer(request, url) {
  const { method, headers, credentials, cache, redirect, integrity, signal } = request;
  const body = method === "GET" || method === "HEAD" ? undefined : await request.blob();
  return fetch(url, { method, headers, credentials, cache, redirect, integrity, signal, body });
}
