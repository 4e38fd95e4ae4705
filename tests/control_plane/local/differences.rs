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
    reason: "a person sees what can be reached; every other client gets the API's answer",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static CROSS_SITE: Difference = Difference {
    what: "a request to the API that a page of another origin makes",
    kubectl: "is passed on",
    ours: "403",
    reason: "the rights of a kubeconfig are not for every page that a browser shows; `--cross-site=allow` is kubectl's way",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static TARGET_PAGE: Difference = Difference {
    what: "a target's page below `/proxy`, for a browser that navigates",
    kubectl: "the page, at the API's origin",
    ours: "a redirect to the target's own origin",
    reason: "a page at the API's origin can do all that the user can; `--cross-site=allow` is kubectl's way",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static INERT: Difference = Difference {
    what: "an answer of the cluster that a browser could take for a page, and the script of a worker",
    kubectl: "as it came",
    ours: "with `Content-Security-Policy: sandbox` and `nosniff`; 403",
    reason: "the same",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static OTHER_HOST: Difference = Difference {
    what: "a `Host` that `--accept-hosts` does not have, for static files, redirects and 404",
    kubectl: "is served",
    ours: "403",
    reason: "a name that somebody made to lead here reads no file",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static IPV6_HOST: Difference = Difference {
    what: "the `Host` `[::1]` with a port",
    kubectl: "403, as its `--accept-hosts` wants the brackets that it takes off",
    ours: "is accepted",
    reason: "it is what `--address ::1` and the default of `--accept-hosts` mean",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static TARGET_HOST: Difference = Difference {
    what: "`Host` of a target, such as `web.demo.svc.localhost`",
    kubectl: "403, or the API if `--accept-hosts` has it",
    ours: "the target at its own origin, by the same rules, for this machine alone",
    reason: "it is what such names are for",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static REFUSED_BROWSER: Difference = Difference {
    what: "a refusal by the rules, for a browser that navigates",
    kubectl: "a line of text",
    ours: "a page that says which rules there are",
    reason: "a person can do something about it",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static USER_AGENT: Difference = Difference {
    what: "`User-Agent` of a request that has none",
    kubectl: "kubectl's",
    ours: "none",
    reason: "a request goes on as it came",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static GZIP: Difference = Difference {
    what: "a large answer to a request without `Accept-Encoding`",
    kubectl: "is asked for in gzip and unpacked, and loses its length",
    ours: "is asked for as the request asks, and keeps its length",
    reason: "less work for both, and a progress bar for a download",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static NO_URL: Difference = Difference {
    what: "bytes that no URL has in a query, such as `<` and `\"`",
    kubectl: "go on as they came",
    ours: "go on with their escapes, as browsers write them",
    reason: "they mean the same, and the HTTP library has no other URLs",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static MALFORMED: Difference = Difference {
    what: "a malformed request: a bad escape, a broken line, no `Host` or two",
    kubectl: "400 or 505, a line of text that ends with the connection",
    ours: "400, with a length",
    reason: "refused as well; the HTTP library answers before anything of ours sees it",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static OLD_KEEP_ALIVE: Difference = Difference {
    what: "HTTP/1.0 with `Connection: keep-alive`",
    kubectl: "keeps the connection",
    ours: "closes it",
    reason: "who still speaks HTTP/1.0 opens another",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static UNREACHABLE: Difference = Difference {
    what: "an API server that does not answer",
    kubectl: "500 with Go's words",
    ours: "502 as a Status, or a page that says what to do",
    reason: "tools understand a Status, and 502 says whose fault it is",
    shown_by: "every_flag_answers_as_kubectl_proxy_does",
};

pub static NO_UPGRADE: Difference = Difference {
    what: "an upgrade that the API server answers with 200",
    kubectl: "500 with a line of text",
    ours: "500 as a Status",
    reason: "tools understand a Status",
    shown_by: "every_upgrade_is_answered_by_both_alike",
};

pub static OFFER_OF_HTTP2: Difference = Difference {
    what: "an offer to go on with HTTP/2 (`Upgrade: h2c`)",
    kubectl: "500 with a line of text",
    ours: "the answer, without an upgrade",
    reason: "Java and `curl --http2` make it with their first request, and whoever does not take it may ignore it",
    shown_by: "every_upgrade_is_answered_by_both_alike",
};

pub static UPGRADE_NAMES: Difference = Difference {
    what: "names of header lines of a 101",
    kubectl: "as the other side wrote them",
    ours: "`Title-Case`, as in every other answer",
    reason: "names have no case",
    shown_by: "every_upgrade_is_answered_by_both_alike",
};

pub static ORDER: Difference = Difference {
    what: "order of header lines",
    kubectl: "by name",
    ours: "as they came",
    reason: "it means nothing",
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
    what: "a static file of which more than 100 parts are asked for, and a pipe among static files",
    kubectl: "is sent in parts, and keeps waiting",
    ours: "the whole file, and 403",
    reason: "many small parts are many times as long as the file, and a pipe may never end",
    shown_by: "of_a_static_file_there_are_a_hundred_parts",
};

pub static SOCKET: Difference = Difference {
    what: "a Unix socket after Ctrl-C",
    kubectl: "stays",
    ours: "goes",
    reason: "nothing listens there any more",
    shown_by: "a_unix_socket_goes_with_its_program",
};

pub static NO_KUBECONFIG: Difference = Difference {
    what: "no kubeconfig",
    kubectl: "takes `localhost:8080` for the API server",
    ours: "ends with code 1 and says where it looked",
    reason: "nothing listens there today",
    shown_by: "without_a_kubeconfig_only_kubectl_starts",
};

pub static WORDS: Difference = Difference {
    what: "what is wrong with the command line",
    kubectl: "kubectl's words, code 1, or 255 for a bad expression",
    ours: "words of its own, code 64",
    reason: "they name the flag and what to do",
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
