// Stands first in the scripts that workers begin with, where no page helper is: WebSockets of the target lead into its prefix, and
// offer a token by which the server knows that they are one of its own. It is the same for everybody, as scripts are cached; the
// token is asked for at the first socket. Whatever goes wrong here, the script's own arguments are used.
(() => {
  "use strict";
  let plain = self.WebSocket;
  let prefix = /^.*?\/apis\/[^/]+\/[^/]+\/(namespaces\/[^/]+\/\w+|nodes)\/[^/]+\/proxy(?=\/)/.exec(location.pathname)?.[0];
  if (!plain || !prefix) return;
  let token;
  let fresh = () => {
    if (token?.split(".")[2] * 1e3 - Date.now() > 4e7) return token;
    let ask = new XMLHttpRequest();
    ask.open("GET", prefix + "/.throughway/page-token", false);
    ask.send();
    token = ask.status === 200 ? ask.responseText : "";
    return token;
  };
  let changed = (args) => {
    let url = new URL(args[0], location);
    if (!args.length || url.host !== location.host) return args;
    if (!url.pathname.startsWith(prefix + "/")) url.pathname = prefix + url.pathname;
    url.protocol = url.protocol.replace("http", "ws");
    let [, offers = []] = args;
    offers = Object(offers) === offers ? [...offers] : [offers];
    return [url.href, fresh() ? offers.concat(token) : offers];
  };
  self.WebSocket = new Proxy(plain, {
    construct(f, args, target) {
      try {
        args = changed(args);
      } catch {}
      let made = Reflect.construct(f, args, target);
      made.addEventListener("error", () => {
        token = "";
      });
      return made;
    },
  });
  plain.prototype.constructor = self.WebSocket;
  let protocol = Object.getOwnPropertyDescriptor(plain.prototype, "protocol");
  let { get } = protocol;
  protocol.get = function () {
    let v = get.call(this);
    return v.startsWith("throughway.page.") ? "" : v;
  };
  Object.defineProperty(plain.prototype, "protocol", protocol);
})();
