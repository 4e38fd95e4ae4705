//! What `throughway local` does otherwise than `kubectl proxy`, and why.

/// One difference, as docs/local.md lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub kubectl: &'static str,
    pub ours: &'static str,
    pub reason: &'static str,
    /// The test that fails when it is gone.
    pub shown_by: &'static str,
}

impl Difference {
    /// As a row of the table.
    pub fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} |",
            self.what, self.kubectl, self.ours, self.reason
        )
    }
}

pub static START_PAGE: Difference = Difference {
    what: "`/` for a browser that navigates",
    kubectl: "the API's list of paths",
    ours: "the start page",
    reason: "a person sees what can be reached; every other client gets the API's response",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static CROSS_SITE: Difference = Difference {
    what: "a request to the API that a page of another origin makes",
    kubectl: "is forwarded",
    ours: "403",
    reason: "not every page in a browser may use the rights of a kubeconfig; `--cross-site=allow` behaves like kubectl",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static TARGET_PAGE: Difference = Difference {
    what: "a target's page below `/proxy`, for a browser that navigates",
    kubectl: "the page, at the API's origin",
    ours: "a redirect to the target's own origin",
    reason: "a page at the API's origin can do all that the user can; `--cross-site=allow` behaves like kubectl",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static INERT: Difference = Difference {
    what: "a response of the cluster that a browser could treat as a page, and the script of a worker",
    kubectl: "unchanged",
    ours: "with `Content-Security-Policy: sandbox` and `nosniff`; 403",
    reason: "the same",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static OTHER_HOST: Difference = Difference {
    what: "a `Host` that `--accept-hosts` does not have, for static files, redirects and 404",
    kubectl: "is served",
    ours: "403",
    reason: "a name that an attacker made resolve to this machine gets no file",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static IPV6_HOST: Difference = Difference {
    what: "the `Host` `[::1]` with a port",
    kubectl: "403, as it removes the brackets that its `--accept-hosts` expects",
    ours: "is accepted",
    reason: "it is what `--address ::1` and the default of `--accept-hosts` mean",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static TARGET_HOST: Difference = Difference {
    what: "`Host` of a target, such as `web.demo.svc.localhost`",
    kubectl: "403, or the API if `--accept-hosts` has it",
    ours: "the target at its own origin, with the same rules, for this machine only",
    reason: "this is the purpose of such names",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static REFUSED_BROWSER: Difference = Difference {
    what: "a refusal by the rules, for a browser that navigates",
    kubectl: "a line of text",
    ours: "a page that lists the rules",
    reason: "a person can act on it",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static USER_AGENT: Difference = Difference {
    what: "`User-Agent` of a request that has none",
    kubectl: "kubectl's",
    ours: "none",
    reason: "the request is not changed",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static GZIP: Difference = Difference {
    what: "a large response to a request without `Accept-Encoding`",
    kubectl: "is requested in gzip and decompressed, and loses its length",
    ours: "is requested as the caller did, and keeps its length",
    reason: "less work for both, and a progress bar for a download",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static NO_URL: Difference = Difference {
    what: "bytes that are not allowed in a query, such as `<` and `\"`",
    kubectl: "are forwarded unchanged",
    ours: "are escaped, as in browsers",
    reason: "the meaning is the same, and the HTTP library accepts no other URLs",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static MALFORMED: Difference = Difference {
    what: "a malformed request: a bad escape, a broken line, no `Host` or two",
    kubectl: "400 or 505, a line of text that ends with the connection",
    ours: "400, with a length",
    reason: "it is refused as well; the HTTP library answers before this program sees it",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static OLD_KEEP_ALIVE: Difference = Difference {
    what: "HTTP/1.0 with `Connection: keep-alive`",
    kubectl: "keeps the connection",
    ours: "closes it",
    reason: "a client with HTTP/1.0 opens another one",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static UNREACHABLE: Difference = Difference {
    what: "an API server that does not answer",
    kubectl: "500 with an error text of Go",
    ours: "502 as a Status, or a page that says what to do",
    reason: "tools understand a Status, and 502 says whose fault it is",
    shown_by: "every_flag_works_as_kubectl_proxys_does",
};

pub static NO_UPGRADE: Difference = Difference {
    what: "an upgrade that the API server answers with 200",
    kubectl: "500 with a line of text",
    ours: "500 as a Status",
    reason: "tools understand a Status",
    shown_by: "every_upgrade_gets_the_same_response_from_both",
};

pub static OFFER_OF_HTTP2: Difference = Difference {
    what: "an offer of HTTP/2 (`Upgrade: h2c`)",
    kubectl: "500 with a line of text",
    ours: "the response, without an upgrade",
    reason: "Java and `curl --http2` send it with their first request, and a server may ignore it",
    shown_by: "every_upgrade_gets_the_same_response_from_both",
};

pub static UPGRADE_NAMES: Difference = Difference {
    what: "header names of a 101",
    kubectl: "as the other side wrote them",
    ours: "`Title-Case`, as in every other response",
    reason: "case has no meaning in header names",
    shown_by: "every_upgrade_gets_the_same_response_from_both",
};

pub static ORDER: Difference = Difference {
    what: "order of header lines",
    kubectl: "by name",
    ours: "unchanged",
    reason: "the order has no meaning",
    shown_by: "header_lines_keep_their_order",
};

pub static LISTING: Difference = Difference {
    what: "a listing of more than two kilobytes",
    kubectl: "in chunks",
    ours: "with `Content-Length`",
    reason: "its length is known",
    shown_by: "a_long_listing_says_its_length",
};

pub static MANY_PARTS: Difference = Difference {
    what: "a request for more than 100 ranges of a static file, and one for a pipe among static files",
    kubectl: "gets the ranges, and waits without end",
    ours: "gets the whole file, and 403",
    reason: "many small ranges are longer than the file, and a pipe may never end",
    shown_by: "of_a_static_file_there_are_a_hundred_parts",
};

pub static SOCKET: Difference = Difference {
    what: "a Unix socket after Ctrl-C",
    kubectl: "stays",
    ours: "is removed",
    reason: "nothing listens there any more",
    shown_by: "a_unix_socket_goes_with_its_program",
};

pub static NO_KUBECONFIG: Difference = Difference {
    what: "no kubeconfig",
    kubectl: "uses `localhost:8080` as the API server",
    ours: "ends with code 1 and says where it looked",
    reason: "nothing listens there today",
    shown_by: "without_a_kubeconfig_only_kubectl_starts",
};

pub static WORDS: Difference = Difference {
    what: "an error in the command line",
    kubectl: "kubectl's message, code 1, or 255 for a bad expression",
    ours: "its own message, code 64",
    reason: "it names the flag and what to do",
    shown_by: "what_kubectl_proxy_refuses_is_refused",
};

/// In the order of the documentation.
pub static DIFFERENCES: &[&Difference] = &[
    &START_PAGE,
    &CROSS_SITE,
    &TARGET_PAGE,
    &INERT,
    &OTHER_HOST,
    &IPV6_HOST,
    &TARGET_HOST,
    &REFUSED_BROWSER,
    &USER_AGENT,
    &GZIP,
    &NO_URL,
    &MALFORMED,
    &OLD_KEEP_ALIVE,
    &UNREACHABLE,
    &NO_UPGRADE,
    &OFFER_OF_HTTP2,
    &UPGRADE_NAMES,
    &ORDER,
    &LISTING,
    &MANY_PARTS,
    &SOCKET,
    &NO_KUBECONFIG,
    &WORDS,
];
