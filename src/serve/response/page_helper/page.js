// The page helper: URLs that scripts build lead into the prefix that the page lies under.
//
// It stands first in the document, so that every script after it finds the browser's own functions already guarded. A
// guarded function is a Proxy of the plain one with other arguments: name, length, prototype, constants and what it throws
// stay. Whatever goes wrong here, the page's own arguments are used. Names are short, as every page loads this.
(() => {
  "use strict";
  let script = document.currentScript;
  let own = script && new URL(script.src || script.dataset.prefix || "", document.baseURI);
  let cut = own ? own.pathname.indexOf("/.throughway/") : 0;
  let once = Symbol.for("throughway");
  if (cut < 1 || window[once]) return;
  window[once] = 1;

  let prefix = own.pathname.slice(0, cut);
  // A page that was told its prefix by headers knows only the part that begins at the API server.
  let target = /\/apis\/[^/]+\/[^/]+\/(namespaces\/[^/]+\/\w+|nodes)\/[^/]+\/proxy(?=\/|$)/;
  let inner = target.exec(prefix)?.[0] ?? prefix;
  let hosts = (script.dataset.host || "").split(" ");
  let below = (path, top = prefix) => path === top || path.startsWith(top + "/");
  let resolve = (text) => new URL(text, document.baseURI);
  // A change that fails, or has nothing to say, leaves things as they are.
  let tried = (change, v, ...more) => {
    try {
      return change(v, ...more) ?? v;
    } catch {
      return v;
    }
  };

  let absolute = /^\/(?![/\\])/;
  // The URL in the prefix that a URL stands for; undefined where it stands for itself.
  let find = (text) => {
    let url = resolve(text);
    let port = { "http:": 80, "ws:": 80, "https:": 443, "wss:": 443 }[url.protocol];
    if (!port || url.username) return;
    if (url.host === own.host) {
      // Who names another target of this server in full means it.
      if (below(url.pathname) || (!absolute.test(text) && target.exec(url.pathname)?.index === prefix.length - inner.length)) return;
      // A relative URL that climbs too high ends at the top of the target.
      let base = resolve("");
      if (below(base.pathname)) base.pathname = base.pathname.slice(prefix.length);
      url = new URL(text, base);
    } else if (!hosts.some((host) => host === url.host || host === url.hostname + ":" + (url.port || port))) return;
    let path = below(url.pathname, inner) ? url.pathname.slice(inner.length) : url.pathname;
    return new URL((url.protocol[0] === "w" ? "ws" : "http") + own.protocol.slice(4) + "//" + own.host + prefix + (path || "/") + url.search + url.hash);
  };
  let text = (v) => {
    let url = find(v);
    return url && (absolute.test(v) ? url.href.slice(url.origin.length) : url.href);
  };

  // A change of text as a change of values: strings, URLs, and trusted objects, which stay trusted.
  let policy;
  let trusted = window.trustedTypes;
  let trust = (kind, v) => {
    let same = (v) => v;
    policy ??= trusted.createPolicy("throughway", { createHTML: same, createScript: same, createScriptURL: same });
    return policy["create" + kind](v);
  };
  let changing = (change) => (v) =>
    tried(() => {
      let before = String(v ?? "");
      let after = before && change(before);
      if (!after || after === before) return v;
      let kind = ["HTML", "ScriptURL"].find((kind) => trusted?.["is" + kind](v));
      return kind ? trust(kind, after) : after;
    }) ?? v;
  let map = changing(text);

  // In attributes a mark (`PREFIX/./x`) stays behind, by which the original (`/x`) is known again.
  let home = prefix + "/";
  let mark = home + ".";
  let marked = (v) => {
    let found = text(v);
    return found === prefix + v ? mark + v : found;
  };
  let each = (pattern) => (v) => v.replace(pattern, (all, before, url) => before + tried(text, url));
  let css = each(/(url\(\s*(?:["']|&quot;)?|@import\s+["'])((?:\/|https?:)[^"')\s]*)/gi);
  let srcset = each(/(^|\s|\d[wx],)((?:\/|https?:)\S*[^\s,])/g);
  let html = (v) =>
    v.replace(/<[a-z](?:[^>"']|"[^"]*"|'[^']*')*>/gi, (tag) =>
      tag.replace(/(\s([a-z:]+)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/gi, (all, before, name, v) => {
        let change = attributes[name.toLowerCase()];
        let [, quote, plain] = /^(["']?)(.*)\1$/s.exec(v);
        return change ? before + quote + tried(change, plain) + quote : all;
      }),
    );
  let attributes = { __proto__: null, style: css, srcset, imagesrcset: srcset, srcdoc: html };
  for (let name of "src href action formaction poster xlink:href".split(" ")) attributes[name] = marked;

  // Guards functions and properties of a class (or of window): `before` changes arguments, `after` changes results.
  let proxy = (f, before, after) =>
    f &&
    new Proxy(f, {
      apply(f, self, args) {
        let result = Reflect.apply(f, self, before ? tried(before, args, self) : args);
        return after ? tried(after, result, args, self) : result;
      },
      construct(f, args, target) {
        let made = Reflect.construct(f, tried(before, args), target);
        return after ? tried(after, made) : made;
      },
    });
  let guard = (kind, names, before, after) => {
    let object = kind?.prototype ?? kind;
    for (let name of names.split(" ")) {
      tried(() => {
        let plain = Object.getOwnPropertyDescriptor(object, name);
        let { value } = plain;
        if (value) plain.value = proxy(value, before, after);
        else {
          plain.set = proxy(plain.set, before);
          if (after) plain.get = proxy(plain.get, null, after);
        }
        Object.defineProperty(object, name, plain);
        if (kind === window && value.prototype) value.prototype.constructor = plain.value;
      });
    }
  };
  let at = (place, change) => (args) => (args.length > place ? args.with(place, change(args[place])) : args);
  let first = at(0, map);
  let styles = changing(css);
  let markup = changing(html);

  // Requests. kube-apiserver takes Authorization away, and changes some paths and queries on their way.
  let PlainRequest = Request;
  let listen = EventTarget.prototype.addEventListener;
  guard(window, "EventSource Worker SharedWorker Audio open", first);
  guard(window, "Request", at(0, (v) => (v instanceof PlainRequest ? v : map(v))));
  guard(window, "FontFace", at(1, styles));
  guard(Navigator, "sendBeacon", first);
  // What must be sent as Throughway-Path; empty: nothing; undefined: the URL is not of this target.
  let raw = (v) => {
    let url = resolve(v);
    if (url.host !== own.host || !below(url.pathname)) return;
    let path = url.pathname.slice(prefix.length);
    let sorted = new URLSearchParams(url.search);
    sorted.sort();
    let odd = /%|;|\/\//.test(path) || (url.search && "?" + sorted !== url.search);
    path += url.search;
    return odd && path.length < 8000 ? path : "";
  };
  let hidden = "Throughway-Authorization";
  guard(window, "fetch", ([input, init, ...more]) => {
    let whole = input instanceof PlainRequest && input;
    let target = map(whole ? input.url : input);
    let path = raw(target);
    let headers = new Headers(init?.headers ?? whole.headers);
    let secret = headers.get("Authorization");
    if (whole) target = target === whole.url ? whole : new PlainRequest(target, whole);
    if (path == null || (secret == null && !path)) return [target, init, ...more];
    headers.delete("Authorization");
    if (secret != null) headers.set(hidden, secret);
    if (path) headers.set("Throughway-Path", path);
    return [target, { ...init, headers }, ...more];
  });
  let xhr = XMLHttpRequest;
  let { setRequestHeader } = xhr.prototype;
  let paths = new WeakMap();
  guard(xhr, "open", at(1, map), (result, [, url, , user, password = ""], self) => {
    let path = raw(map(url));
    paths.set(self, path);
    if (path) setRequestHeader.call(self, "Throughway-Path", path);
    if (path != null && user != null) setRequestHeader.call(self, hidden, "Basic " + btoa(user + ":" + password));
    return result;
  });
  guard(xhr, "setRequestHeader", (args, self) =>
    paths.get(self) != null && /^authorization$/i.test(args[0]) ? args.with(0, hidden) : args,
  );

  // A WebSocket's handshake names no page. It offers a token by which the server knows that it is one of the target.
  let { token } = script.dataset;
  let renew = (wait) => {
    let ask = new xhr();
    ask.onload = () => {
      if (ask.status === 200) token = ask.responseText;
    };
    ask.open("GET", home + ".throughway/page-token", !wait);
    ask.send();
  };
  let left = () => token.split(".")[2] * 1e3 - Date.now();
  // The document may come from the browser's cache.
  if (token && left() < 0) tried(renew, true);
  guard(
    window,
    "WebSocket",
    (args) => {
      args = first(args);
      let [url, offers = []] = args;
      if (!token || !args.length || raw(url) == null) return args;
      if (left() < 4e7) tried(renew);
      return [url, (Object(offers) === offers ? [...offers] : [offers]).concat(token)];
    },
    // The token was no good: it is too old, or the server has another key. Pages try again.
    (self) => {
      if (token) listen.call(self, "error", () => tried(renew));
    },
  );
  guard(window.WebSocket, "protocol", null, (v) => (v.startsWith("throughway.page.") ? "" : v));

  // Elements.
  let { getAttribute, setAttribute } = Element.prototype;
  for (let kind of Object.getOwnPropertyNames(window)) {
    if (/^HTML\w*Element$/.test(kind)) {
      for (let name of "src href action formAction data poster srcset imageSrcset srcdoc".split(" ")) {
        guard(window[kind], name, at(0, changing(attributes[name.toLowerCase()] ?? marked)));
      }
    }
  }
  let set = (place) => (args, self) => {
    let name = String(args[place]).toLowerCase();
    let change = name === "data" && self.localName === "object" ? marked : attributes[name];
    return change ? at(place + 1, changing(change))(args) : args;
  };
  guard(Element, "setAttribute", set(0));
  guard(Element, "setAttributeNS", set(1));
  for (let kind of [Element, ShadowRoot]) guard(kind, "innerHTML outerHTML setHTMLUnsafe", at(0, markup));
  guard(Element, "insertAdjacentHTML", at(1, markup));
  guard(Range, "createContextualFragment", at(0, markup));
  guard(DOMParser, "parseFromString", (args) => (args[1] === "text/html" ? at(0, markup)(args) : args));
  guard(Document, "write writeln", (args) => args.map(markup));

  // What follows a mark is the path inside the target. A router takes its own place from `base`, to compare with location.
  let inside = (v) => {
    let found = /^(\.\/|(\.\.\/)+)\.(\/.*)/s.exec(v);
    return found ? found[3] : v?.startsWith(mark + "/") && v.slice(mark.length);
  };
  guard(Element, "getAttribute", null, (found, [name], self) => {
    let path = /^(href|src|action)$/i.test(name) && inside(found);
    return path ? (self.localName === "base" ? prefix + path : path) : found;
  });
  // Marked links are relative to where the page was loaded. What would load or play again is left: it has its URL already.
  let absolutise = () => {
    for (let self of document.querySelectorAll("base,a,area,form,button,input,script,img,use,link:not([rel~=stylesheet])")) {
      for (let name of "href src action formaction".split(" ")) {
        tried(() => {
          let v = getAttribute.call(self, name);
          if (v[0] !== "." || !inside(v)) return;
          v = mark + inside(v);
          setAttribute.call(self, name, trusted ? trust("ScriptURL", v) : v);
        });
      }
    }
  };
  let moved;
  guard(History, "pushState replaceState", (args) => {
    args = at(2, map)(args);
    if (!moved && args[2] != null && new URL(".", location).href !== new URL(".", resolve(args[2])).href) {
      moved = true;
      absolutise();
      addEventListener("DOMContentLoaded", absolutise);
    }
    return args;
  });

  // Styles.
  let declared = CSSStyleDeclaration;
  for (let kind of [CSSStyleSheet, CSSGroupingRule, declared]) guard(kind, "insertRule replace replaceSync cssText", at(0, styles));
  guard(declared, "setProperty", at(1, styles));

  // Navigations: links and forms are corrected just before the browser reads them, so that new windows are right too.
  window.navigation?.addEventListener("navigate", (event) => {
    let url = event.cancelable && !event.destination.sameDocument && !event.formData && tried(find, event.destination.url);
    if (!url?.href) return;
    event.preventDefault();
    location[event.navigationType === "replace" ? "replace" : "assign"](url.href);
  });
  let correct = (self, name) => {
    let v = self && getAttribute.call(self, name);
    let after = v && tried(marked, v);
    if (after !== v) setAttribute.call(self, name, after);
  };
  let submitted = (args, form, by) => {
    correct(form, "action");
    correct(by, "formaction");
  };
  guard(HTMLFormElement, "submit", submitted);
  for (let type of ["click", "auxclick", "submit"]) {
    addEventListener(
      type,
      (event) => {
        let [target] = event.composedPath();
        if (type === "submit") submitted(0, target, event.submitter);
        else correct(target.closest?.("a[href],area[href]"), "href");
      },
      true,
    );
  }

  // Cookies. What no backend gets under its own name travels under another, and has its own here.
  let listed = (script.dataset.cookies || "").split(" ");
  let isListed = (name) => listed.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name && name === one));
  guard(
    Document,
    "cookie",
    ([v]) => [
      String(v)
        .replace(/^\s*(__Host-)?([^=;]*)/, (all, host, name) => (host ? "Throughway-Host-" + name : isListed(name.trim()) ? "Throughway-Own-" + name : all))
        .replace(/;\s*domain=[^;]*/gi, "")
        .replace(/(;\s*path=\s*)(\/[^;]*)/gi, (all, before, path) => before + (below(path) ? path : prefix + path)),
    ],
    (v) => v.replace(/(^|; )Throughway-(Host|Own)-/g, (all, before, kind) => before + (kind === "Own" ? "" : "__Host-")),
  );

  // The service worker sees what no script does. It gives way to a worker of the page's own.
  let container = window.ServiceWorkerContainer;
  let register = container?.prototype.register;
  let taken;
  guard(container, "register", ([url, options]) => {
    taken = true;
    return [map(url), options && { ...options, scope: map(options.scope) }];
  });
  if (register && window === top) {
    addEventListener("load", async () => {
      try {
        let workers = navigator.serviceWorker;
        let scope = own.origin + home;
        let there = await workers.getRegistration(scope);
        if (taken || (there?.scope === scope && !there.active?.scriptURL.includes("/.throughway/"))) return;
        let url = home + ".throughway/worker.js?" + hosts.join("+");
        await register.call(workers, trusted ? trust("ScriptURL", url) : url, { scope });
      } catch {}
    });
  }

  // What comes into the document: import maps before they count, styles before they load anything.
  let write = (self, v) => {
    self.text = trusted ? trust("Script", v) : v;
  };
  let json = each(/(:\s*")(\/[^"]*)/g);
  let settle = (self) => {
    let { localName, childNodes, text: before } = self;
    if (localName === "style") {
      // Each text by itself, as scripts keep hold of them.
      for (let node of childNodes) if (css(node.data) !== node.data) node.data = css(node.data);
    } else if (self.type === "importmap" && json(before) !== before) write(self, json(before));
  };
  // A property of a `style` can't be guarded, but it loads nothing before this has seen it.
  let restyle = ({ style }) => {
    let before = style.cssText;
    let after = css(before);
    if (after !== before) style.cssText = after;
  };
  new MutationObserver((changes) => {
    for (let { type, target, addedNodes } of changes) {
      if (type === "attributes") tried(restyle, target);
      for (let node of [target.data ? target.parentNode : target, ...addedNodes]) {
        if (/^(style|script)$/.test(node?.localName)) tried(settle, node);
        else if (node?.firstElementChild && node !== target) for (let style of node.querySelectorAll("style")) tried(settle, style);
      }
    }
  }).observe(document, { childList: true, subtree: true, characterData: true, attributeFilter: ["style"] });
  tried(() => {
    let modules = document.createElement("script");
    modules.type = "importmap";
    modules.nonce = script.nonce;
    write(modules, JSON.stringify({ imports: { "/": home, [home]: home } }));
    script.after(modules);
    modules.remove();
  });
  script.remove();
})();
