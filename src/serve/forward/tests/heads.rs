//! Heads: what a backend receives of a caller's, and what a caller gets of a backend's.

use super::*;

#[tokio::test]
async fn a_backend_receives_exactly_these_bytes() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let headers =
        "X-Second: 2\r\nAccept: a\r\nx-FIRST: 1\r\nAccept: b\r\nX-Forwarded-For: 198.51.100.7\r\n";
    caller
        .write_all(get("/a//b/../%2F;x?q=%zz&&a=1;b", headers).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    assert_eq!(
        head(&mut stream).await,
        format!(
            "GET /a//b/../%2F;x?q=%zz&&a=1;b HTTP/1.1\r\nHost: web.demo.svc\r\nX-Second: 2\r\nAccept: a\r\nAccept: b\r\n\
             x-FIRST: 1\r\nX-Forwarded-For: 198.51.100.7, 192.0.2.1\r\nX-Forwarded-Host: api.example\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Uri: {PREFIX}/a//b/../%2F;x\r\n\
             X-Script-Name: {PREFIX}\r\nX-Forwarded-Prefix: {PREFIX}\r\n\r\n"
        )
    );
    stream.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200 OK\r\n"));
    exactly(&mut caller, "ok").await;
    drop(caller);
    s.end().await;
}

#[tokio::test]
async fn no_caller_can_remove_our_headers_or_smuggle_an_identity() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let headers = "Connection: close, X-Forwarded-Prefix,  x-forwarded-for , , \"x-quoted\"\r\n\
        Connection: X-Once\r\nX-Once: 1\r\nX-Quoted: 1\r\nKeep-Alive: a\r\nProxy-Connection: b\r\nTE: gzip, trailers\r\n\
        X_Forwarded_For: 1.2.3.4\r\nX-Remote_User: root\r\nImpersonate-User: root\r\nAuthorization: Bearer x\r\n\
        Proxy-Authorization: y\r\nUpgrade: h2c\r\nHTTP2-Settings: z\r\nThroughway-Path: /\r\nThroughway_Anything: 1\r\nX-Script-Name: /x\r\nX-Kept: k\r\n";
    caller
        .write_all(get("/", headers).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    let seen = head(&mut stream).await;
    let names: Vec<String> = seen
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
        .collect();
    assert_eq!(
        names,
        [
            "host",
            "x-kept",
            "te",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-uri",
            "x-script-name",
            "x-forwarded-prefix"
        ]
    );
    assert!(
        seen.contains("X-Forwarded-For: 192.0.2.1\r\n") && seen.contains("TE: trailers\r\n"),
        "{seen}"
    );
    stream.write_all(OK).await.unwrap();
    head(&mut caller).await;
    drop(caller);
    s.end().await;
}

/// HTTP/2 has names in lower case alone, and some backends of HTTP/1 read none but those that they know.
#[tokio::test]
async fn names_whose_spelling_nobody_knows_are_in_title_case() {
    let (s, backend) = (Setting::new().await, Backend::new().await);
    let request = http::Request::post(format!("{PREFIX}/a"))
        .version(http::Version::HTTP_2)
        .header("host", "api.example")
        .header("content-type", "text/plain")
        .header("soapaction", "x")
        .header("x-real-name", "y")
        .body(Body::from("hello"))
        .unwrap();
    let endpoints = endpoints(Scheme::Http, &[backend.address]);
    let asking = respond(&s.forward, Arc::clone(&s.metrics), endpoints, request);
    let serving = async {
        let mut stream = backend.accept().await;
        let seen = head(&mut stream).await;
        exactly(&mut stream, "hello").await;
        stream.write_all(OK).await.unwrap();
        seen
    };
    let (response, seen) = tokio::join!(asking, serving);
    assert_eq!(response.status(), 200);
    assert_eq!(
        seen,
        format!(
            "POST /a HTTP/1.1\r\nHost: web.demo.svc\r\nContent-Type: text/plain\r\nSoapaction: x\r\nX-Real-Name: y\r\n\
             X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: api.example\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Uri: {PREFIX}/a\r\nX-Script-Name: {PREFIX}\r\nX-Forwarded-Prefix: {PREFIX}\r\nContent-Length: 5\r\n\r\n"
        )
    );
    drop(response);
    s.end().await;
}

/// The lines of a request's head that begin with one of some names, as a backend received them.
async fn received(config: ForwardConfig, headers: &str, names: &[&str]) -> Vec<String> {
    let (mut s, backend) = (Setting::with(config).await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let request = get("/a?b", headers);
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    let seen = head(&mut stream).await;
    stream.write_all(OK).await.unwrap();
    head(&mut caller).await;
    drop(caller);
    s.end().await;
    let is_named = |line: &&str| {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        names.contains(&&*name)
    };
    seen.lines().filter(is_named).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_page_of_the_target_speaks_in_the_backends_own_terms() {
    let headers = format!(
        "Sec-Fetch-Site: same-origin\r\nOrigin: http://127.0.0.1:8001\r\nReferer: http://127.0.0.1:8001/k8s{PREFIX}/page?q\r\n\
         X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n"
    );
    let names = [
        "origin",
        "referer",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-script-name",
    ];
    let expected = [
        "Origin: http://web.demo.svc".to_owned(),
        "Referer: http://web.demo.svc/page?q".to_owned(),
        "X-Forwarded-Host: 127.0.0.1:8001".to_owned(),
        "X-Forwarded-Proto: http".to_owned(),
        format!("X-Forwarded-Uri: /k8s{PREFIX}/a"),
        format!("X-Script-Name: /k8s{PREFIX}"),
        format!("X-Forwarded-Prefix: /k8s{PREFIX}"),
    ];
    let listed = |host: &str, path: &str| crate::serve::config::ExternalOrigin {
        scheme: "http",
        host: host.to_owned(),
        path: path.to_owned(),
    };
    let config = ForwardConfig {
        external_origins: vec![listed("127.0.0.1:8001", "/k8s")],
        ..config()
    };
    assert_eq!(received(config, &headers, &names).await, expected);
}

#[tokio::test]
async fn who_is_cross_site_stays_cross_site_for_the_backend() {
    for lines in [
        "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\nReferer: https://evil.example/\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://127.0.0.1:8001\r\n",
        "Sec-Fetch-Site: same-origin\r\nOrigin: http://127.0.0.1:8001\r\nReferer: http://127.0.0.1:8001/other\r\n",
        "Origin: https://evil.example\r\nReferer: http://127.0.0.1:8001/\r\n",
        "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\nReferer: http://127.0.0.1:8001/\r\n",
        "Origin: null\r\n",
    ] {
        let kept: Vec<&str> = lines
            .split_terminator("\r\n")
            .filter(|line| !line.starts_with("Sec"))
            .collect();
        assert_eq!(
            received(config(), lines, &["origin", "referer"]).await,
            kept
        );
    }
}

#[tokio::test]
async fn cookies_of_other_parts_of_the_origin_do_not_arrive() {
    let config = ForwardConfig {
        never_forward_cookies: ["_oauth2_proxy*".to_owned()].into_iter().collect(),
        ..config()
    };
    let headers = "Cookie: a=1; _oauth2_proxy_0=s; Throughway-Login=t; Throughway-Own-_oauth2_proxy=u\r\nCookie: Throughway-Host-id=2\r\n";
    assert_eq!(
        received(config, headers, &["cookie"]).await,
        ["Cookie: a=1; _oauth2_proxy=u; __Host-id=2"]
    );
}

#[tokio::test]
async fn a_response_loses_what_belongs_to_its_connection() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let response = "HTTP/1.1 200 Fine\r\nX-B: 1\r\nConnection: X-Once\r\nX-Once: 1\r\nKeep-Alive: timeout=5\r\nX-A: 2\r\n\
        Set-Cookie: a\r\nSet-Cookie: b\r\nDate: today\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(response.as_bytes()).await.unwrap();
    assert_eq!(
        head(&mut caller).await,
        "HTTP/1.1 200 Fine\r\nX-B: 1\r\nX-A: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: today\r\nContent-Length: 0\r\n\r\n"
    );
    drop(caller);
    s.end().await;
}

/// RFC 9112 section 5.1: a proxy removes the space before a colon. Section 5.2: it mends lines that are folded.
#[tokio::test]
async fn folded_lines_and_spaces_before_colons_of_a_response_are_mended() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let response = "HTTP/1.1 200 OK\r\nX-Space : 1\r\nX-Tabs\t :\t2\r\nX-Folded: a\r\n  b\r\n\tc \r\n\
        X-Begins-Folded:\r\n d\r\nX-Empty:\r\n \r\nDate: today\r\nContent-Length\t:\r\n 2\r\n\r\nok";
    stream.write_all(response.as_bytes()).await.unwrap();
    assert_eq!(
        head(&mut caller).await,
        "HTTP/1.1 200 OK\r\nX-Space: 1\r\nX-Tabs: 2\r\nX-Folded: a b c\r\nX-Begins-Folded: d\r\nX-Empty: \r\n\
         Date: today\r\nContent-Length: 2\r\n\r\n"
    );
    exactly(&mut caller, "ok").await;
    drop(caller);
    s.end().await;
}

#[tokio::test]
async fn a_response_may_have_a_hundred_lines_and_more_are_refused_in_words() {
    let lines = |count: usize| -> String {
        let line = |at| format!("X-{at}: {at}\r\n");
        (0..count).map(line).collect()
    };
    for (count, expected) in [(99, "200"), (101, "502")] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        caller.write_all(get("/", "").as_bytes()).await.unwrap();
        let mut stream = backend.accept().await;
        head(&mut stream).await;
        let lines = lines(count);
        let response = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
        let response = head(&mut caller).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{response}"
        );
        if expected == "200" {
            assert!(response.contains(&lines), "{response}");
        } else {
            let mut words = vec![0; 4096];
            let bytes = caller.read(&mut words).await.unwrap();
            let words = String::from_utf8_lossy(&words[..bytes]).into_owned();
            assert!(
                words.contains("'s response has more than 100 header lines"),
                "{words}"
            );
        }
        drop((caller, stream));
        s.end().await;
    }
}
