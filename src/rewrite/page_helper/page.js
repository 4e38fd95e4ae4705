// The page helper: makes URLs that scripts build lead into the target that the page belongs to.
//
// It stands first in every document, so it runs before any script of the page. The page believes to live at the root of an
// origin of its own; here it lives below a prefix. So root-absolute URLs of this origin, and URLs that name the backend's own
// host, are put below the prefix wherever a script hands one to the browser. Everything else passes as it is. A URL below the
// prefix stays, so mapping twice is mapping once.
//
// Lines like these are not served; see dense.rs.
(() => {
"use strict";
const tag = document.currentScript;
const mark = Symbol.for("throughway");
if (!tag || window[mark]) return;
Object.defineProperty(window, mark, { value: true });

const own = new URL(tag.dataset.src || tag.src, document.baseURI);
const end = own.pathname.lastIndexOf("/.throughway/");
if (end < 0) return;
const prefix = own.pathname.slice(0, end);
const hosts = (tag.dataset.host || "").toLowerCase().split(" ").filter(Boolean);
const secure = own.protocol === "https:" ? "s" : "";

// Where the page's own Trusted Types policies are in force, ours must be used for what we change.
let types;
try {
  const same = (text) => text;
  types = window.trustedTypes?.createPolicy("throughway", { createScriptURL: same, createHTML: same, createScript: same });
} catch {}

const typed = (kind, value, mapped) => {
  const Type = window["Trusted" + kind];
  return types && Type && value instanceof Type ? types["create" + kind](mapped) : mapped;
};

// ---- mapping ----

const isBelow = (path) => path.startsWith(prefix) && /^(?:[/?#]|$)/.test(path.slice(prefix.length));

// Another target of the same server. Whoever names it in full, with this origin, means it.
const kind = prefix.replace(/(?:\/namespaces\/[^/]+)?\/[^/]+\/[^/]+\/proxy$/, "");
const isNeighbour = (path) =>
  path.startsWith(kind) && /^(?:\/namespaces\/[^/]+)?\/(?:services|pods|nodes)\/[^/]+\/proxy(?:[/?#]|$)/.test(path.slice(kind.length));

// A path of the page's own root, below the prefix. Dot segments must not climb out of it.
const below = (path) => {
  if (/(?:^|[/\\])(?:\.|%2e)/i.test(path) || path.includes("\\")) {
    const { pathname, search, hash } = new URL(path, own.origin);
    path = pathname + search + hash;
  }
  return isBelow(path) ? path : prefix + (path[0] === "/" ? "" : "/") + path;
};

const mapText = (text) => {
  const url = text.trim();
  if (/^[/\\](?![/\\])/.test(url)) return below(url);
  const parts = /^(?:(https?|wss?):)?[/\\]{2}([^/\\?#]+)([^]*)$/i.exec(url);
  if (!parts) return text;
  const [, scheme = "http", host, path] = parts;
  const isOurs = host.toLowerCase() === own.host;
  if (!isOurs && !hosts.includes(host.toLowerCase())) return text;
  if (isOurs && (isBelow(path) || isNeighbour(path))) return text;
  return (/^ws/i.test(scheme) ? "ws" : "http") + secure + "://" + own.host + below(path || "/");
};

// What a script hands over may be a string, a URL, or a trusted type, and leaves as such.
const map = (value) => {
  if (value == null) return value;
  const text = String(value);
  const mapped = mapText(text);
  if (mapped === text) return value;
  return typed("ScriptURL", value, mapped);
};

const mapSet = (value) => String(value).replace(/(^|,)(\s*)([^\s,]\S*)/g, (_, comma, space, url) => comma + space + mapText(url));

const mapStyle = (value) =>
  typeof value === "string" && value.includes("/")
    ? value.replace(/(url\(\s*["']?|@import\s+["'])([^"')\s]+)/gi, (_, start, url) => start + mapText(url))
    : value;

const holdsUrl = /^(?:href|src|action|formaction|poster|data|xlink:href)$/i;
const holdsSet = /^(?:image)?srcset$/i;

const mapAttribute = (name, value) =>
  holdsUrl.test(name) ? map(value) : holdsSet.test(name) ? mapSet(value) : name.toLowerCase() === "style" ? mapStyle(value) : value;

const mapTag = (text) =>
  text.replace(/(\s)([a-z:-]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/gi, (all, space, name, equals, value) => {
    const quote = /^["']/.test(value) ? value[0] : "";
    return space + name + equals + quote + mapAttribute(name, quote ? value.slice(1, -1) : value) + quote;
  });

const mapMarkup = (value) => {
  const text = String(value);
  if (!/=\s*["']?\s*\/|\/\/|\(\s*["']?\//.test(text)) return value;
  const mapped = text
    .replace(/<[a-z](?:"[^"]*"|'[^']*'|[^"'>])*>/gi, mapTag)
    .replace(/(<style[^>]*>)([^]*?)(<\/style)/gi, (_, start, style, stop) => start + mapStyle(style) + stop);
  if (mapped === text) return value;
  return typed("HTML", value, mapped);
};

// ---- putting ourselves between ----

const define = (object, name, change) => {
  const found = object && Object.getOwnPropertyDescriptor(object, name);
  if (found?.configurable) Object.defineProperty(object, name, { ...found, ...change(found) });
};

// A defect of ours must not be one of the page.
const safely = (change, args, self) => {
  try {
    change(args, self);
  } catch {}
};

const around = (object, name, apply) => define(object, name, ({ value }) => ({ value: new Proxy(value, { apply }) }));

const method = (object, name, change) =>
  around(object, name, (target, self, args) => {
    safely(change, args, self);
    return Reflect.apply(target, self, args);
  });

const construction = (name, change) =>
  define(window, name, ({ value }) => {
    const proxy = new Proxy(value, {
      construct(target, args, made) {
        safely(change, args);
        return Reflect.construct(target, args, made === proxy ? target : made);
      },
    });
    define(value.prototype, "constructor", () => ({ value: proxy }));
    return { value: proxy };
  });

const setter = (object, name, change) =>
  define(object, name, ({ set }) => ({
    set(value) {
      const args = [value];
      safely(() => (args[0] = change(value, this)));
      set.call(this, args[0]);
    },
  }));

const argument = (object, name, at, change) => method(object, name, (args) => at in args && (args[at] = change(args[at])));
const first = (args) => 0 in args && (args[0] = map(args[0]));

// ---- requests ----

const ourPath = "throughway-path";
const ourPassword = "throughway-authorization";

// Path and query inside the target; undefined for any other place.
const insideOf = (url) => {
  const { origin, pathname, search } = new URL(url, document.baseURI);
  if (origin === own.origin && isBelow(pathname)) return [pathname.slice(prefix.length) || "/", search];
};

// The same, if kube-apiserver would change it: it decodes paths and sorts queries.
const rawPath = (url) => {
  const inside = insideOf(url);
  if (!inside) return null;
  const [path, search] = inside;
  const pairs = search.slice(1).split("&");
  const names = pairs.map((pair) => pair.split("=")[0]);
  const isPlain =
    !/[%;!*'()[\]]|\/\//.test(path) &&
    (!search || (pairs.every((pair) => /^[\w.~-]+=[\w.~-]*$/.test(pair)) && "" + names === "" + names.slice().sort()));
  return isPlain ? null : path + search;
};

const withOurs = (url, given) => {
  const headers = new Headers(given);
  const password = headers.get("authorization");
  if (password !== null && insideOf(url)) {
    headers.delete("authorization");
    headers.set(ourPassword, password);
  }
  const raw = rawPath(url);
  if (raw !== null) headers.set(ourPath, raw);
  return headers;
};

construction("Request", (args) => {
  if (!(args[0] instanceof Request)) first(args);
});

method(window, "fetch", (args) => {
  const [input, init] = args;
  if (input instanceof Request) {
    const headers = withOurs(input.url, init?.headers || input.headers);
    args[1] = { ...init, headers };
    return;
  }
  first(args);
  args[1] = { ...init, headers: withOurs(String(args[0]), init?.headers) };
});

const asked = new WeakMap();
const XHR = XMLHttpRequest.prototype;
const { setRequestHeader } = XHR;
around(XHR, "open", (target, xhr, args) => {
  safely(() => (args[1] = map(args[1])));
  const result = Reflect.apply(target, xhr, args);
  safely(() => {
    const [, url, , user, password = ""] = args;
    asked.set(xhr, url);
    const raw = rawPath(url);
    if (raw !== null) setRequestHeader.call(xhr, ourPath, raw);
    if (user != null && insideOf(url)) setRequestHeader.call(xhr, ourPassword, "Basic " + btoa(user + ":" + password));
  });
  return result;
});
method(XHR, "setRequestHeader", (args, xhr) => {
  if (/^authorization$/i.test(args[0]) && insideOf(asked.get(xhr))) args[0] = ourPassword;
});

for (const name of ["WebSocket", "EventSource", "Worker", "SharedWorker", "Audio"]) construction(name, first);
construction("FontFace", (args) => (args[1] = mapStyle(args[1])));
argument(Navigator.prototype, "sendBeacon", 0, map);
argument(window, "open", 0, map);
method(window.ServiceWorkerContainer?.prototype, "register", (args) => {
  first(args);
  if (args[1]?.scope) args[1] = { ...args[1], scope: map(args[1].scope) };
});

// Modules name each other by URLs that no hook sees; an import map does.
safely(() => {
  const imports = document.createElement("script");
  const text = JSON.stringify({ imports: { "/": prefix + "/", [prefix + "/"]: prefix + "/" } });
  imports.type = "importmap";
  imports.nonce = tag.nonce;
  imports.textContent = types ? types.createScript(text) : text;
  tag.after(imports);
  imports.remove();
});

// ---- the document ----

const Tag = Element.prototype;
const elements = "Image src srcset,Script src,Link href imageSrcset,Anchor href,Area href,Form action,Input src formAction,Button formAction," +
"IFrame src,Source src srcset,Media src,Video poster,Embed src,Object data,Base href";
for (const line of elements.split(",")) {
  const [name, ...properties] = line.split(" ");
  for (const property of properties) setter(window[`HTML${name}Element`]?.prototype, property, /set$/.test(property) ? mapSet : map);
}

method(Tag, "setAttribute", (args) => (args[1] = mapAttribute(String(args[0]), args[1])));
method(Tag, "setAttributeNS", (args) => (args[2] = mapAttribute(String(args[1]).replace(/^.*:/, ""), args[2])));

// Routers read what the page's author wrote: links that were made relative on the way carry one more "./".
const marked = /^(?:\.\/|(?:\.\.\/)+)\.\//;
const unmapped = (value) => (isBelow(value) ? value.slice(prefix.length) || "/" : marked.test(value) ? value.replace(marked, "/") : value);
const { getAttribute, setAttribute } = Tag;
around(Tag, "getAttribute", (target, self, args) => {
  const found = Reflect.apply(target, self, args);
  return found && /^(?:href|src|action)$/i.test(args[0]) ? unmapped(found) : found;
});

for (const object of [Tag, window.ShadowRoot?.prototype]) setter(object, "innerHTML", mapMarkup);
setter(Tag, "outerHTML", mapMarkup);
setter(HTMLIFrameElement.prototype, "srcdoc", mapMarkup);
setter(Node.prototype, "textContent", (value, node) => (node instanceof HTMLStyleElement ? mapStyle(value) : value));
argument(Tag, "insertAdjacentHTML", 1, mapMarkup);
argument(Range.prototype, "createContextualFragment", 0, mapMarkup);
argument(DOMParser.prototype, "parseFromString", 0, mapMarkup);
for (const name of ["write", "writeln"]) argument(Document.prototype, name, 0, mapMarkup);

const Style = CSSStyleDeclaration.prototype;
for (const name of ["insertRule", "replace", "replaceSync"]) argument(CSSStyleSheet.prototype, name, 0, mapStyle);
argument(Style, "setProperty", 1, mapStyle);
setter(Style, "cssText", mapStyle);

// ---- where the page goes ----

// A marked link is relative to the address that the page came from, so it is made absolute before that changes.
const settle = () => {
  for (const name of ["href", "action", "formaction"]) {
    for (const element of document.querySelectorAll(`[${name}^="."]:not(link,use,image)`)) {
      const value = getAttribute.call(element, name);
      if (marked.test(value)) setAttribute.call(element, name, prefix + value.replace(marked, "/"));
    }
  }
};
for (const name of ["pushState", "replaceState"]) {
  method(History.prototype, name, (args) => {
    if (args[2] == null) return;
    settle();
    args[2] = map(args[2]);
  });
}

// location can't be put ourselves between, but what it does is announced.
window.navigation?.addEventListener("navigate", (event) => {
  const url = event.destination.url;
  const mapped = mapText(url);
  if (mapped === url || !event.cancelable || event.hashChange || event.formData) return;
  event.preventDefault();
  if (event.navigationType === "replace") location.replace(mapped);
  else location.href = mapped;
});

define(Document.prototype, "cookie", ({ get, set }) => ({
  get() {
    return get.call(this).replace(/(^|; )Throughway-Host-/g, "$1__Host-");
  },
  set(value) {
    const text = String(value)
      .replace(/;(\s*path\s*=\s*)(\/[^;]*)/gi, (_, start, path) => ";" + start + below(path))
      .replace(/;\s*domain\s*=[^;]*/gi, "")
      .replace(/^\s*__Host-/i, "Throughway-Host-");
    set.call(this, text);
  },
}));

// What no script sees, such as images of style rules that scripts make, a service worker does, from the second load on.
if (window === window.top && navigator.serviceWorker) {
  addEventListener("load", async () => {
    try {
      const worker = own.origin + prefix + "/.throughway/worker.js";
      const scope = own.origin + prefix + "/";
      const found = await navigator.serviceWorker.getRegistration(scope);
      const known = found?.scope === scope && (found.active || found.waiting || found.installing)?.scriptURL;
      if (!known) await navigator.serviceWorker.register(worker, { scope });
    } catch {}
  });
}
})();
