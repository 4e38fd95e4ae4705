// For client-side routers that read their place from `location` and know no prefix: they find their own paths there.
//
// No script can replace `location`, but history may name any path of the origin. So the app's own path is the address while
// handlers of `popstate` run, and from a call of history to the end of the code that made it. Both are over before the
// browser does anything else: whoever reloads, bookmarks or goes elsewhere does it from the true address. It can't be so
// while a document loads, as that takes as long as the network does; what a router read then it is told again, by a `popstate`.
(() => {
  "use strict";
  let script = document.currentScript;
  let own = script && new URL(script.src || script.dataset.prefix || "", document.baseURI);
  let cut = own ? own.pathname.indexOf("/.throughway/") : 0;
  let once = Symbol.for("throughway.router");
  if (cut < 1 || window[once]) return;
  window[once] = 1;

  let prefix = own.pathname.slice(0, cut);
  let below = () => location.pathname.startsWith(prefix + "/");
  let { replaceState } = History.prototype;
  let listen = EventTarget.prototype.addEventListener;
  let dispatch = EventTarget.prototype.dispatchEvent;
  let changing;
  let put = (url, state = history.state) => {
    changing = true;
    try {
      replaceState.call(history, state, "", url);
    } catch {}
    changing = false;
  };

  // Browsers ignore or refuse more than 100 to 200 changes in ten seconds. Without them a router is lost, but the app is not.
  let start = 0;
  let count = 0;
  let may = (most) => {
    let now = Date.now();
    if (now - start > 1e4) {
      start = now;
      count = 0;
    }
    return count++ < most;
  };

  // The true address while the app's own is shown.
  let outer;
  let show = (most) => {
    if (outer || !below() || !may(most)) return;
    let { href, origin } = location;
    outer = href;
    put(origin + href.slice(origin.length + prefix.length));
  };
  let hide = () => {
    if (!outer) return;
    put(outer);
    if (below()) outer = null;
    else setTimeout(hide, 1e3);
  };

  // What is asked for meanwhile is asked from the true address, as a server looks at `Referer`.
  let aside = (run) => {
    if (!outer) return run();
    hide();
    try {
      return run();
    } finally {
      show(40);
    }
  };
  let guard = (object, names) => {
    for (let name of names.split(" ")) {
      let plain = object?.[name];
      if (!plain) continue;
      object[name] = new Proxy(plain, {
        apply: (f, self, args) => aside(() => Reflect.apply(f, self, args)),
        construct: (f, args, target) => aside(() => Reflect.construct(f, args, target)),
      });
    }
  };
  guard(window, "fetch EventSource WebSocket Worker SharedWorker open");
  guard(XMLHttpRequest.prototype, "open send");
  guard(Navigator.prototype, "sendBeacon");

  // Tells the app where it is.
  let told;
  let tell = (event) => {
    show(40);
    told = true;
    dispatch.call(window, new PopStateEvent("popstate", event));
    told = false;
    hide();
  };
  listen.call(
    window,
    "popstate",
    (event) => {
      if (!event.isTrusted) return;
      event.stopImmediatePropagation();
      repeats = 0;
      tell(event);
    },
    true,
  );

  // Until somebody does something: a router that was lost may have gone to a place of its own, and may not listen at once.
  let loaded = location.href;
  let { state } = history;
  let repeats = 4;
  let waiting;
  let repeat = () => {
    waiting = false;
    if (!repeats || outer || !below()) return;
    repeats--;
    if (location.href !== loaded) put(loaded, state);
    tell(history);
  };
  let later = () => {
    if (!waiting) setTimeout(repeat);
    waiting = true;
  };
  window.addEventListener = new Proxy(listen, {
    apply(f, self, args) {
      if (args[0] === "popstate") queueMicrotask(repeat);
      return Reflect.apply(f, self, args);
    },
  });
  listen.call(window, "load", () => {
    if (repeats === 4) repeat();
    setTimeout(() => {
      repeats = 0;
    }, 5e3);
  });
  for (let type of ["pointerdown", "keydown"]) {
    listen.call(
      window,
      type,
      () => {
        repeats = 0;
      },
      true,
    );
  }

  for (let name of ["pushState", "replaceState"]) {
    History.prototype[name] = new Proxy(History.prototype[name], {
      apply(f, self, args) {
        hide();
        Reflect.apply(f, self, args);
        if (!told && repeats) later();
        show(20);
        if (!told) queueMicrotask(hide);
      },
    });
  }

  // Nobody hears of changes that are not the app's, and who reloads means the true address.
  let { navigation } = window;
  let secret = (event) => {
    if (changing) event.stopImmediatePropagation();
  };
  for (let type of ["navigate", "currententrychange"]) navigation?.addEventListener(type, secret);
  navigation?.addEventListener("navigate", (event) => {
    if (!outer || event.navigationType !== "reload" || !event.cancelable) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    hide();
    location.reload();
  });
})();
