// The service worker of one target: requests that no script of the page sees (images and fonts of style rules, imports in
// workers) and that would leave the prefix go below it. It keeps nothing, and leaves every other request to the browser.
"use strict";
const own = new URL(self.location.href);
const prefix = own.pathname.slice(0, own.pathname.indexOf("/.throughway/"));
const names = own.search.slice(1).split("+").filter(Boolean);
const hosts = new Set(names.flatMap((name) => (/:\d+$/.test(name) ? name : [name + ":80", name + ":443"])));
const inner = /\/apis\/[^/]+\/[^/]+\/(namespaces\/[^/]+\/\w+|nodes)\/[^/]+\/proxy$/.exec(prefix)?.[0] ?? prefix;
const below = (path, top) => path === top || path.startsWith(top + "/");

// The URL in the prefix that a URL stands for; undefined where it stands for itself.
const find = (text) => {
  const url = new URL(text);
  const port = { "http:": "80", "https:": "443" }[url.protocol];
  if (!port) return;
  if (url.origin === own.origin ? below(url.pathname, prefix) : !hosts.has(url.hostname + ":" + (url.port || port))) return;
  const path = below(url.pathname, inner) ? url.pathname.slice(inner.length) || "/" : url.pathname;
  return own.origin + prefix + path + url.search;
};

const redirected = async (request, url) => {
  const { method, headers, credentials, cache, redirect, referrer, integrity, signal } = request;
  const body = method === "GET" || method === "HEAD" ? undefined : await request.arrayBuffer();
  const mode = "same-origin";
  return fetch(url, { method, headers, body, mode, credentials, cache, redirect, referrer, integrity, signal });
};

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = request.mode === "navigate" ? undefined : find(request.url);
  if (url) event.respondWith(redirected(request, url));
});
