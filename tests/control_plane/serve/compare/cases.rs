//! The requests, in the order of the kinds of behaviour that they are about.

use super::Case;
use super::Expected::{Aggregator, AggregatorInTime, NotCopied, Same};
use super::Look::{
    Code, CodeAndBody, FirstMessage, FirstPiece, Headers, Received, ReceivedHeaders,
};

pub(super) const CASES: &[Case] = &[
    // names
    Case::get("a pod's port by name", "{ns}/pods/solo-0:web/proxy/", Code, NotCopied("A pod's port may be given by its name; the built-in proxy panics.")),
    Case::get("a node's port by name", "nodes/hollow:https/proxy/healthz", Code, NotCopied("A node's port that is not a number is 404; the built-in proxy panics.")),
    Case::get("a service's only port", "{ns}/services/solo/proxy/", Code, NotCopied("A Service with one port needs no port in the URL, even if the port has a name; the built-in proxy says 503.")),
    Case::get("an unknown service by name", "{ns}/services/none/proxy/", Code, NotCopied("An unknown Service is 404; the built-in proxy says 503 unless a port number is given.")),
    Case::get("an unknown service by number", "{ns}/services/none:80/proxy/", Code, Same),
    Case::get("an unknown port by number", "{ns}/services/solo:81/proxy/", Code, NotCopied("A port that a Service does not have is 404 with the ports that it has; the built-in proxy says 503.")),
    Case::get("an unknown pod", "{ns}/pods/none/proxy/", Code, Same),
    Case::get("an unknown node", "nodes/none/proxy/", Code, Same),
    Case::get("leading zeros", "{ns}/services/solo:080/proxy/", CodeAndBody, Same),
    Case::get("an escaped colon", "{ns}/services/solo%3Ahttp/proxy/", CodeAndBody, Same),
    Case::get("a scheme in capitals", "{ns}/services/HTTP:solo:80/proxy/", Code, Same),
    Case::get("a UDP port", "{ns}/services/datagrams:53/proxy/", Code, NotCopied("A Service's UDP port is 404; the built-in proxy dials the TCP port of the same number.")),
    Case::get("nobody is ready", "{ns}/services/unready:80/proxy/", Code, Same),
    Case::get("an endpoint that is no pod", "{ns}/services/foreign:80/proxy/", Code, Same),
    Case::get("a pod that is not ready, by its name", "{ns}/pods/unready-0:8080/proxy/", CodeAndBody, Same),
    Case::get("a pod with a loopback address", "{ns}/pods/loopback-0:8080/proxy/", Code, Same),
    // methods
    Case::get("HEAD", "{ns}/services/solo:80/proxy/bytes/7", Headers(&["content-length"]), Same).by("HEAD"),
    Case::get("POST", "{ns}/services/solo:80/proxy/echo", Received, Same).by("POST"),
    Case::get("PUT", "{ns}/services/solo:80/proxy/echo", Received, Same).by("PUT"),
    Case::get("PATCH", "{ns}/services/solo:80/proxy/echo", Received, Same).by("PATCH"),
    Case::get("DELETE", "{ns}/services/solo:80/proxy/echo", Received, Same).by("DELETE"),
    Case::get("OPTIONS", "{ns}/services/solo:80/proxy/echo", Received, Same).by("OPTIONS"),
    Case::get("TRACE", "{ns}/services/solo:80/proxy/echo", Code, Same).by("TRACE"),
    Case::get("PROPFIND", "{ns}/services/solo:80/proxy/echo", Code, Same).by("PROPFIND"),
    Case::get("get", "{ns}/services/solo:80/proxy/echo", Code, Same).by("get"),
    // paths
    Case::get("a plain path", "{ns}/services/solo:80/proxy/echo/a/b/", Received, Same),
    Case::get("an escaped space", "{ns}/services/solo:80/proxy/echo/a%20b", Received, Same),
    Case::get("two slashes", "{ns}/services/solo:80/proxy/echo//b", Received, NotCopied("A path arrives as it was sent: empty and dot segments stay; the built-in proxy cleans them away.")),
    Case::get("dot segments", "{ns}/services/solo:80/proxy/echo/a/./b", Received, NotCopied("A path arrives as it was sent: empty and dot segments stay; the built-in proxy cleans them away.")),
    Case::get("a trailing dot segment", "{ns}/services/solo:80/proxy/echo/a/..", Received, NotCopied("A path arrives as it was sent: empty and dot segments stay; the built-in proxy cleans them away.")),
    Case::get("punctuation", "{ns}/services/solo:80/proxy/echo/!*'()[]", Received, Same),
    Case::get("an escaped slash", "{ns}/services/solo:80/proxy/echo/a%2Fb", Received, Same),
    Case::get("X-Forwarded-Uri of an odd path", "{ns}/services/solo:80/proxy/echo//b", ReceivedHeaders(&["x-forwarded-uri"]), NotCopied("X-Forwarded-Uri is the path that was requested; the built-in proxy's is wrong for paths that it cleans.")),
    Case::get("no slash, GET", "{ns}/services/solo:80/proxy", Code, Aggregator("`…/proxy` without its slash is answered as `…/proxy/` for tools and scripts, and with `Refresh` for a navigation; a redirect would become a 502.")),
    Case::get("no slash, POST", "{ns}/services/solo:80/proxy", CodeAndBody, Same).by("POST"),
    // queries
    Case::get("a query", "{ns}/services/solo:80/proxy/echo?a=1&b=2", Received, Same),
    Case::get("a query's order", "{ns}/services/solo:80/proxy/echo?b=2&a=1", Received, Aggregator("A query is parsed and encoded again: keys are sorted, `a` becomes `a=`.")),
    Case::get("semicolons and bad escapes", "{ns}/services/solo:80/proxy/echo?a;b&c=%zz", Received, Aggregator("Parts of a query with `;` or a bad escape are lost.")),
    Case::get("a bare question mark", "{ns}/services/solo:80/proxy/echo?", Received, Same),
    Case::get("a parameter named path", "{ns}/services/solo:80/proxy/echo?path=x", Received, Same),
    Case::get("dryRun", "{ns}/services/solo:80/proxy/echo?dryRun=All", Code, NotCopied("`?dryRun` reaches the backend, which may use it; the built-in proxy says 400.")),
    // upgrades
    Case::get("a refused upgrade", "{ns}/services/solo:80/proxy/status/404", Code, Same).with(&UPGRADE),
    Case::get("a WebSocket's query", "{ns}/services/solo:80/proxy/ws?session=1", FirstMessage, NotCopied("An upgrade's query arrives; the built-in proxy loses it.")),
    Case::get("a refused upgrade by POST", "{ns}/services/solo:80/proxy/status/404", Code, Same).by("POST").with(&UPGRADE),
    Case::get("a redirected upgrade", "{ns}/services/solo:80/proxy/status/302?location=/login", Code, NotCopied("An upgrade that the backend answers with 2xx or 3xx is 502, as the fault is the backend's; the built-in proxy says 500.")).with(&UPGRADE),
    Case::get("an upgrade answered by 200", "{ns}/services/solo:80/proxy/", Code, NotCopied("An upgrade that the backend answers with 2xx or 3xx is 502, as the fault is the backend's; the built-in proxy says 500.")).with(&UPGRADE),
    Case::get("an upgrade to a closed port", "{ns}/pods/solo-0:9/proxy/", Code, NotCopied("A refused connection is 503 for upgrades too; the built-in proxy says 500.")).with(&UPGRADE),
    Case::get("an unknown protocol", "{ns}/services/solo:80/proxy/", Code, NotCopied("Only websocket and SPDY/3.1 are tunnelled, other protocols are 400; the built-in proxy tunnels anything.")).with(&[("Connection", "Upgrade"), ("Upgrade", "tcp")]),
    Case::get("an offer of HTTP/2", "{ns}/services/solo:80/proxy/", Code, Aggregator("An offer of HTTP/2 (`Upgrade: h2c`) is treated as an upgrade, so its normal response becomes a 503; the built-in proxy says 500.")).with(&[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQBAAAAAAIAAAAA")]),
    Case::get("Connection: upgrade without Upgrade", "{ns}/services/solo:80/proxy/", Code, Aggregator("`Connection: upgrade` without `Upgrade` is treated as an upgrade, so its normal response becomes a 503.")).with(&[("Connection", "upgrade")]),
    // headers
    Case::get("Host", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["host"]), Aggregator("The caller's `Host` does not arrive; the backend sees its Service's DNS name, or its address.")),
    Case::get("X-Forwarded-Host of the caller", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["x-forwarded-host", "x-forwarded-proto"]), Aggregator("`X-Forwarded-Host` and `-Proto` contain the browser's origin if its request shows it, else `--external-origin`, else they are missing; the caller's own values are not passed on.")).with(&[("X-Forwarded-Host", "a.example"), ("X-Forwarded-Proto", "http")]),
    Case::get("the prefix", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["x-forwarded-prefix"]), NotCopied("`X-Forwarded-Prefix` tells the app its prefix; the built-in proxy does not send it.")),
    Case::get("an Audit-Id of the caller", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["audit-id"]), Aggregator("An `Audit-Id` does not reach the backend: kube-apiserver's own cannot be distinguished from the caller's.")).with(&[("Audit-Id", "4a1c8f9e-0000-4000-8000-000000000000")]),
    Case::get("credentials and identities", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["authorization", "x-remote-user", "x-remote-group", "impersonate-user", "cookie"]), Same).with(&[("X-Remote-User", "root"), ("X-Remote-Group", "system:masters"), ("Cookie", "a=b")]),
    Case::get("hop-by-hop headers", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["keep-alive", "x-once", "proxy-connection", "te", "x-kept"]), Same).with(&[("Connection", "X-Once"), ("X-Once", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"), ("TE", "trailers, gzip"), ("X-Kept", "2")]),
    Case::get("Accept-Encoding", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["accept-encoding"]), Same).with(&[("Accept-Encoding", "br")]),
    Case::get("no Accept-Encoding", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["accept-encoding"]), Same),
    Case::get("Cache-Control", "{ns}/services/solo:80/proxy/headers?cache-control=max-age%3D5", Headers(&["cache-control"]), Same),
    Case::get("CORS", "{ns}/services/solo:80/proxy/headers?access-control-allow-origin=x&access-control-allow-credentials=true&access-control-max-age=5", Headers(&["access-control-allow-origin", "access-control-allow-credentials", "access-control-max-age"]), NotCopied("`Access-Control-*` of a backend are removed, as they would apply to the whole API; the built-in proxy keeps `-Max-Age` and `-Expose-Headers`.")),
    Case::get("Set-Cookie", "{ns}/services/solo:80/proxy/headers?set-cookie=a", Headers(&["set-cookie"]), Same),
    Case::get("Set-Cookie with a path", "{ns}/services/solo:80/proxy/headers?set-cookie=a%3Db%3BPath%3D/", Headers(&["set-cookie"]), NotCopied("A cookie's `Path` is moved below the target's path and its `Domain` is removed; the built-in proxy keeps both, so apps overwrite each other's cookies.")),
    Case::get("a front end's session cookie", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["cookie"]), NotCopied("Session cookies of gateways in front of the cluster are not sent to backends (`--never-forward-cookies`); the built-in proxy sends them to every app.")).with(&[("Cookie", "a=b; argocd.token=c")]),
    Case::get("an app's own cookie of a front end's name", "{ns}/services/solo:80/proxy/headers?set-cookie=argocd.token%3Dc", Headers(&["set-cookie"]), NotCopied("An app's own cookie of such a name (Argo CD's `argocd.token`, Headlamp's, oauth2-proxy's) is kept by the browser as `Throughway-Own-NAME` and comes back to that app as `NAME`; the built-in proxy does not change it.")),
    Case::get("the same when it comes back", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["cookie"]), NotCopied("An app's own cookie of such a name (Argo CD's `argocd.token`, Headlamp's, oauth2-proxy's) is kept by the browser as `Throughway-Own-NAME` and comes back to that app as `NAME`; the built-in proxy does not change it.")).with(&[("Cookie", "Throughway-Own-argocd.token=c")]),
    Case::get("two cookies", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["cookie"]), Same).with(&[("Cookie", "a=b; c=d")]),
    Case::get("headers for the whole origin", "{ns}/services/solo:80/proxy/headers?clear-site-data=x&strict-transport-security=x&alt-svc=x&nel=x", Headers(&["clear-site-data", "strict-transport-security", "alt-svc", "nel"]), NotCopied("`Clear-Site-Data`, `Strict-Transport-Security`, `Alt-Svc`, `NEL` and similar headers are removed, as they affect the whole origin; the built-in proxy keeps them.")),
    Case::get("Origin of the app's own page", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["origin"]), NotCopied("`Origin` and `Referer` of the app's own pages contain the `Host` that the app sees; the built-in proxy does not change them, so the app treats its own page as another site's.")).with(&[("Origin", "http://127.0.0.1:8001"), ("Sec-Fetch-Site", "same-origin")]),
    Case::get("Origin of another site", "{ns}/services/solo:80/proxy/echo", Code, NotCopied("A request that a page of another site makes with its user's credentials is 403, unless it is a link (`--cross-site`); the built-in proxy forwards it.")).with(&[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]),
    Case::get("Range", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["range", "accept-encoding"]), Same).with(&[("Range", "bytes=0-1")]),
    Case::get("a Content-Encoding that is none", "{ns}/services/solo:80/proxy/headers?content-encoding=gzip", CodeAndBody, Same),
    Case::get("a folded line", "{ns}/services/raw:80/proxy/folded", Headers(&["x-folded"]), Same),
    Case::get("a space before a colon", "{ns}/services/raw:80/proxy/space", Headers(&["x-space"]), NotCopied("A space before the colon of a backend's header line is removed; the built-in proxy keeps it, and the line is lost on the way.")),
    Case::get("headers without end", "{ns}/services/solo:80/proxy/", Code, Same).with(&TOO_LARGE),
    // bodies
    Case::get("trailers", "{ns}/services/solo:80/proxy/trailers", Headers(&["x-checksum"]), Same).with(&[("TE", "trailers")]),
    Case::get("an early hint", "{ns}/services/raw:80/proxy/early-hints", CodeAndBody, Same),
    Case::get("a switch that nobody asked for", "{ns}/services/raw:80/proxy/switch", Code, NotCopied("A protocol switch that was not requested is 502, as the fault is the backend's; the built-in proxy says 500.")),
    Case::get("status 099", "{ns}/services/raw:80/proxy/099", Code, NotCopied("An invalid status code is 502 with the cause; the built-in proxy closes the connection.")),
    // streams
    Case::get("a stream's first piece", "{ns}/services/solo:80/proxy/drip", FirstPiece, Same),
    Case::get("a body that is too short", "{ns}/services/raw:80/proxy/short", Code, AggregatorInTime("503", "A body that breaks off at once becomes a 503 if kube-aggregator sees it before it has forwarded the headers; the built-in proxy closes the connection.")),
    Case::get("no HTTP", "{ns}/services/raw:80/proxy/garbage", Code, NotCopied("A response that is not HTTP is 502 with the cause; the built-in proxy says 503.")),
    Case::get("a length that is none", "{ns}/services/raw:80/proxy/bad-length", Code, NotCopied("A response that is not HTTP is 502 with the cause; the built-in proxy says 503.")),
    Case::get("no answer", "{ns}/services/raw:80/proxy/nothing", Code, NotCopied("A backend that closes without a response is 502; the built-in proxy says 503.")),
    Case::get("a closed port", "{ns}/pods/solo-0:9/proxy/", Code, Same),
    // redirects
    Case::get("a redirect", "{ns}/services/solo:80/proxy/status/302?location=/login", Code, Aggregator("A redirect is followed here for tools and scripts, and becomes a page with `Refresh` for a navigation; a 3xx with `Location` would become a 502.")),
    Case::get("Location of a 201", "{ns}/services/solo:80/proxy/status/201?location=/things/1", Headers(&["location"]), NotCopied("`Location` becomes relative, which works below every prefix; the built-in proxy's is absolute.")),
    Case::get("Location elsewhere", "{ns}/services/solo:80/proxy/status/201?location=http://a.example/b", Headers(&["location"]), Same),
    Case::get("a relative Location", "{ns}/services/solo:80/proxy/status/201?location=b", Headers(&["location"]), Same),
    Case::get("two Locations", "{ns}/services/solo:80/proxy/headers?location=b&location=c", Headers(&["location"]), Same),
    Case::get("other headers with links", "{ns}/services/solo:80/proxy/headers?content-location=/a&refresh=5&link=%3C/b%3E", Headers(&["content-location", "refresh", "link"]), NotCopied("`Content-Location`, `Link`, `Refresh` and `SourceMap` that lead into the target become relative; the built-in proxy does not change them, and they lead out of the app.")),
    Case::get("304", "{ns}/services/solo:80/proxy/status/304", Code, Same),
    Case::get("304 that names a length", "{ns}/services/raw:80/proxy/304-length", Code, Same),
    Case::get("204 that names a length", "{ns}/services/raw:80/proxy/204-length", Code, Same),
    // pages
    Case::get("a page with relative links", "{ns}/services/solo:80/proxy/page", CodeAndBody, Same),
    Case::get("a page with root-absolute links", "{ns}/services/solo:80/proxy/page?href=/login", CodeAndBody, NotCopied("Root-absolute links of a page become relative, which works below every prefix; the built-in proxy's are absolute.")),
    Case::get("a page whose type is spelled otherwise", "{ns}/services/solo:80/proxy/headers?content-type=TEXT/html", CodeAndBody, Same),
    Case::get("a page's ETag", "{ns}/services/solo:80/proxy/headers?content-type=text/html&etag=x", Headers(&["etag"]), Same),
    // encodings
    Case::get("a page in br", "{ns}/services/solo:80/proxy/page/br", Code, NotCopied("A page with the encoding br, zstd or identity arrives; the built-in proxy closes the connection.")),
    Case::get("a page in identity", "{ns}/services/solo:80/proxy/headers?content-type=text/html&content-encoding=identity", Code, NotCopied("A page with the encoding br, zstd or identity arrives; the built-in proxy closes the connection.")),
    // errors
    Case::get("a refusal in YAML", "{ns}/pods/none/proxy/", Headers(&["content-type"]), NotCopied("A Status is always JSON; the built-in proxy also writes YAML and protobuf.")).with(&[("Accept", "application/yaml")]),
    Case::get("a backend's own error", "{ns}/services/solo:80/proxy/status/500", CodeAndBody, Same),
    // TLS pods
    Case::get("HTTP/2 to a TLS pod", "{ns}/pods/https:secure-0:8443/proxy/echo", ReceivedHeaders(&["version"]), Same),
    Case::get("TLS spoken to a plain port", "{ns}/pods/https:solo-0:8080/proxy/", Code, NotCopied("A failed TLS handshake is 502 and says which scheme to try; the built-in proxy says 503.")),
    // RBAC
    Case::get("a right by name", "{ns}/services/solo:80/proxy/", CodeAndBody, Same).with(&READER),
    Case::get("a right by name, escaped", "{ns}/services/solo%3A80/proxy/", CodeAndBody, Same).with(&READER),
    Case::get("another form of the name", "{ns}/services/solo:http/proxy/", Code, Same).with(&READER),
    Case::get("HEAD with a right to get", "{ns}/services/solo:80/proxy/", Code, Same).by("HEAD").with(&READER),
    Case::get("OPTIONS with a right to get", "{ns}/services/solo:80/proxy/", Code, Same).by("OPTIONS").with(&READER),
    // kubelet
    Case::get("a kubelet's port with another scheme", "nodes/http:hollow:10250/proxy/healthz", CodeAndBody, Same),
    Case::get("a kubelet's exec", "nodes/hollow:10250/proxy/exec/a/b/c", Code, NotCopied("Only /configz, /healthz, /metrics, /pods, /runningpods and /stats of a kubelet are reachable: 403 for the rest.")),
];

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Somebody who may get one Service under one form of its name.
const READER: [(&str, &str); 1] = [("Impersonate-User", "reader")];

/// More headers than any server takes: two and a half mebibytes.
const TOO_LARGE: [(&str, &str); 40] = [("X-Large", LARGE); 40];

const LARGE: &str = {
    static BYTES: [u8; 64 << 10] = [b'v'; 64 << 10];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};
