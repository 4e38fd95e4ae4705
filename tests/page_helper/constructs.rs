//! One test for each group of constructs by which scripts ask for something.

use crate::open;

#[tokio::test]
async fn fetch_and_requests_stay_below_the_prefix() {
    let page = open("").await;
    page.runs(
        "await fetch('/api/1'); await fetch(new Request('/api/2')); await fetch(new URL('/api/3', location));
        await fetch(location.origin + '/api/4?x=1#y'); await fetch('http://web.demo.svc/api/5', {method: 'POST', body: 'x'});
        await fetch(prefix + '/api/6'); await fetch('/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy/api/7');
        await fetch('api/8'); await fetch('../../../api/9'); await fetch('/k8s/clusters/y');
        return (await (await fetch('/api/10')).text())",
        "answer of /api/10",
    )
    .await;
    page.asks(&[
        "/api/1",
        "/api/2",
        "/api/3",
        "/api/4?x=1",
        "/api/5",
        "/api/6",
        "/api/7",
        "/a/api/8",
        "/api/9",
        "/k8s/clusters/y",
    ])
    .await;
    assert_eq!(page.site.wait_for("/api/5").await.body, "x");
    page.stays_inside();
}

#[tokio::test]
async fn what_scripts_authorize_and_what_the_api_server_changes_is_sent_in_headers() {
    let page = open("").await;
    page.runs(
        "await fetch('/api/a%2Fb?b=2&a=1;c', {headers: {Authorization: 'Basic x'}});
        await fetch('/plain?a=1&b=2', {headers: new Headers({accept: 'x/y'})});
        const request = new Request('/request', {headers: {authorization: 'Bearer y'}}); await fetch(request);
        const x = new XMLHttpRequest(); x.open('GET', '/xhr//1'); x.setRequestHeader('authorization', 'Basic z');
        x.setRequestHeader('x-own', '1'); await new Promise((next) => { x.onload = next; x.send() });
        return [x.responseText, request.headers.get('authorization')].join()",
        "answer of /xhr//1,Bearer y",
    )
    .await;
    for (path, authorization, raw) in [
        (
            "/api/a%2Fb?b=2&a=1;c",
            Some("Basic x"),
            Some("/api/a%2Fb?b=2&a=1;c"),
        ),
        ("/plain?a=1&b=2", None, None),
        ("/request", Some("Bearer y"), None),
        ("/xhr//1", Some("Basic z"), Some("/xhr//1")),
    ] {
        let asked = page.site.wait_for(path).await;
        assert_eq!(asked.header("authorization"), None, "{path}");
        assert_eq!(
            asked.header("throughway-authorization"),
            authorization,
            "{path}"
        );
        assert_eq!(asked.header("throughway-path"), raw, "{path}");
    }
    assert_eq!(
        page.site.wait_for("/plain?a=1&b=2").await.header("accept"),
        Some("x/y")
    );
    assert_eq!(
        page.site.wait_for("/xhr//1").await.header("x-own"),
        Some("1")
    );
    page.stays_inside();
}

#[tokio::test]
async fn what_scripts_authorize_at_another_target_is_left_as_it_is() {
    let page = open("").await;
    page.runs(
        "const other = location.origin + prefix.replace('web:', 'other:'), headers = {authorization: 'Bearer theirs'};
        await fetch(other + '/fetched//a', {headers});
        const x = new XMLHttpRequest(); x.open('GET', other + '/xhr//a'); x.setRequestHeader('authorization', 'Bearer theirs');
        await new Promise((next) => { x.onload = next; x.send() }); return x.status",
        404,
    )
    .await;
    let asked = page.site.asked();
    for path in ["/other:80/proxy/fetched//a", "/other:80/proxy/xhr//a"] {
        let asked = asked.iter().find(|asked| asked.path.ends_with(path));
        let asked = asked.expect(path);
        assert_eq!(
            asked.header("authorization"),
            Some("Bearer theirs"),
            "{path}"
        );
        let ours = asked
            .headers
            .keys()
            .find(|name| name.as_str().starts_with("throughway-"));
        assert_eq!(ours, None, "{path}");
    }
}

#[tokio::test]
async fn sockets_events_beacons_and_workers_stay_below_the_prefix() {
    let page = open("").await;
    page.runs(
        "const socket = new WebSocket('ws://' + location.host + '/ws?x=1');
        await new Promise((next, fail) => { socket.onopen = next; socket.onerror = fail });
        const named = new WebSocket('wss://web.demo.svc:80/named/ws', ['a', 'b']); named.onerror = () => {};
        const events = new EventSource('/events');
        const said = await new Promise((next) => { events.onmessage = (event) => next(event.data) }); events.close();
        navigator.sendBeacon('/beacon', 'x'); new Worker('/worker.js'); new SharedWorker('/shared.js');
        new Worker(new URL('/module.js', location.href), {type: 'module'});
        return [socket instanceof WebSocket, socket.constructor === WebSocket, WebSocket.OPEN, said].join()",
        "true,true,1,hello",
    )
    .await;
    page.asks(&[
        "/ws?x=1",
        "/named/ws",
        "/events",
        "/beacon",
        "/worker.js",
        "/shared.js",
        "/module.js",
    ])
    .await;
    page.requests_stay_inside();
}

#[tokio::test]
async fn modules_stay_below_the_prefix() {
    let page = open(
        "<script type=importmap>{\"imports\": {\"lit\": \"/named.js\", \"dir/\": \"/dir/\"}}</script>
        <script type=module>import '/static.js'; import 'lit'; import 'dir/x.js'; await import('/dynamic.js');</script>",
    )
    .await;
    page.asks(&["/static.js", "/named.js", "/dir/x.js", "/dynamic.js"])
        .await;
    page.runs("await import('/late.js'); return 1", 1).await;
    page.asks(&["/late.js"]).await;
    page.stays_inside();
}

#[tokio::test]
async fn properties_and_attributes_stay_below_the_prefix() {
    let page = open("<body>").await;
    page.runs(
        "const make = (name, set) => { const e = document.createElement(name); set(e); document.body.append(e); return e };
        make('img', (e) => { e.src = '/p/img.svg' }); new Image().src = 'http://web.demo.svc/p/image.svg';
        make('img', (e) => { e.srcset = '/p/set1.svg 1x,/p/set2.svg 9x' });
        make('script', (e) => { e.src = '/p/script.js' }); make('iframe', (e) => { e.src = '/p/frame.html' });
        make('link', (e) => { e.rel = 'stylesheet'; e.href = '/p/link.css' });
        make('object', (e) => { e.data = '/p/object.svg' }); make('video', (e) => { e.poster = '/p/poster.svg' });
        make('img', (e) => e.setAttribute('SRC', '/a/img.svg')); make('object', (e) => e.setAttribute('data', '/a/object.svg'));
        make('div', (e) => e.setAttribute('style', 'width: 9px; height: 9px; background: url(/a/style.svg)'));
        const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg'); document.body.append(svg);
        const image = document.createElementNS(svg.namespaceURI, 'image'); svg.append(image);
        image.setAttributeNS('http://www.w3.org/1999/xlink', 'xlink:href', '/a/svg.svg');
        const a = make('a', (e) => { e.href = '/p/link' }), form = make('form', (e) => e.setAttribute('action', '/p/form'));
        const custom = make('my-list', (e) => e.setAttribute('data', '/data'));
        return [a.getAttribute('href'), new URL(a.href).pathname.startsWith(prefix), form.getAttribute('action'),
            custom.getAttribute('data'), a.getAttribute('none')].join()",
        "/p/link,true,/p/form,/data,",
    )
    .await;
    page.asks(&[
        "/p/img.svg",
        "/p/image.svg",
        "/p/set1.svg",
        "/p/script.js",
        "/p/frame.html",
        "/p/link.css",
        "/p/object.svg",
        "/p/poster.svg",
        "/a/img.svg",
        "/a/object.svg",
        "/a/style.svg",
        "/a/svg.svg",
    ])
    .await;
    page.stays_inside();
}

#[tokio::test]
async fn markup_stays_below_the_prefix_and_text_stays_text() {
    let page = open("<body><div id=a></div><div id=b></div><script>document.write('<img src=\"/m/write.svg\">')</script>").await;
    page.runs(
        r#"const a = document.getElementById('a'), b = document.getElementById('b');
        a.innerHTML = `<img src="/m/inner.svg"><img src=/m/bare.svg><img alt='x > y' src='/m/quoted.svg'>`
            + `<i style="background: url(&quot;/m/style.svg&quot;); display: block; width: 9px; height: 9px"></i>`
            + `<a href="/m/link?a=1&amp;b=2">x</a><p> href="/text" src='/text'</p>`;
        b.outerHTML = '<img src="/m/outer.svg">';
        a.append(...new DOMParser().parseFromString('<img src="/m/parsed.svg">', 'text/html').body.children);
        a.insertAdjacentHTML('beforeend', '<img src="/m/adjacent.svg" srcset="/m/set.svg 1x">');
        a.append(document.createRange().createContextualFragment('<img src="/m/fragment.svg">'));
        a.append(Object.assign(document.createElement('iframe'), {srcdoc: '<img src="/m/srcdoc.svg">'}));
        return [a.querySelector('a').getAttribute('href'), a.querySelector('p').textContent].join()"#,
        "/m/link?a=1&b=2, href=\"/text\" src='/text'",
    )
    .await;
    page.asks(&[
        "/m/write.svg",
        "/m/inner.svg",
        "/m/bare.svg",
        "/m/quoted.svg",
        "/m/style.svg",
        "/m/outer.svg",
        "/m/parsed.svg",
        "/m/set.svg",
        "/m/fragment.svg",
        "/m/srcdoc.svg",
    ])
    .await;
    page.stays_inside();
}

#[tokio::test]
async fn style_rules_of_scripts_stay_below_the_prefix() {
    let page = open("<body><style id=s></style><i class=a></i><i class=b></i><i class=c></i><i class=d></i><i class=e></i><i class=f></i>").await;
    page.runs(
        "document.getElementById('s').sheet.insertRule('i { display: block; width: 9px; height: 9px }');
        document.getElementById('s').sheet.insertRule('.a { background: url(/s/rule.svg) }');
        const text = document.createElement('style'); text.textContent = '.b { background: url(\"/s/text.svg\") }';
        document.head.append(text);
        const node = document.createElement('style'); document.head.append(node);
        node.append(document.createTextNode('.c { background: url(/s/node.svg) }'));
        const kept = document.createTextNode(''); node.append(kept); await 0;
        kept.data = '.f { background: url(/s/data.svg) }';
        document.querySelector('.d').style.setProperty('background', 'url(/s/property.svg)');
        document.querySelector('.e').style.cssText += 'background: url(/s/text2.svg)';
        const sheet = new CSSStyleSheet(); sheet.replaceSync('body { background: url(/s/sheet.svg) }');
        document.adoptedStyleSheets = [sheet];
        document.fonts.add(new FontFace('x', 'url(/s/font.woff)')); document.fonts.load('9px x').catch(() => {});
        return 1",
        1,
    )
    .await;
    page.asks(&[
        "/s/rule.svg",
        "/s/text.svg",
        "/s/node.svg",
        "/s/data.svg",
        "/s/property.svg",
        "/s/text2.svg",
        "/s/sheet.svg",
        "/s/font.woff",
    ])
    .await;
    page.requests_stay_inside();
}

#[tokio::test]
async fn a_property_of_a_style_stays_below_the_prefix() {
    let page = open("<body><i style='display: block; width: 9px; height: 9px'></i>").await;
    page.runs(
        "document.querySelector('i').style.backgroundImage = 'url(/s/image.svg)'; return 1",
        1,
    )
    .await;
    page.asks(&["/s/image.svg"]).await;
    page.stays_inside();
}

#[tokio::test]
async fn cookies_of_scripts_stay_in_the_target() {
    let page = open("").await;
    page.runs(
        "document.cookie = 'a=1; Path=/; Domain=web.demo.svc'; document.cookie = '__Host-b=2; path=/; Secure';
        document.cookie = 'c=3; path=/elsewhere'; document.cookie = 'd=4';
        return document.cookie.split('; ').sort().join()",
        "__Host-b=2,a=1,d=4",
    )
    .await;
    page.runs(
        "await fetch('/cookies'); await fetch('/elsewhere/x'); return 1",
        1,
    )
    .await;
    let sent = page.site.wait_for("/cookies").await;
    let mut sent: Vec<_> = sent.header("cookie").unwrap().split("; ").collect();
    sent.sort_unstable();
    assert_eq!(sent, ["Throughway-Host-b=2", "a=1"]);
    // Those that no backend gets under their own names.
    page.runs(
        "document.cookie = 'argocd.token=5; path=/'; document.cookie = ' _oauth2_proxy_0 =6'; document.cookie = 'argocd.tokens=7';
        return document.cookie.split('; ').sort().join()",
        "__Host-b=2,_oauth2_proxy_0=6,a=1,argocd.token=5,argocd.tokens=7,d=4",
    )
    .await;
    page.runs("await fetch('/tokens'); return 1", 1).await;
    let sent = page.site.wait_for("/tokens").await;
    let mut sent: Vec<_> = sent.header("cookie").unwrap().split("; ").collect();
    sent.sort_unstable();
    let expected = [
        "Throughway-Host-b=2",
        "Throughway-Own-argocd.token=5",
        "a=1",
    ];
    assert_eq!(sent, expected);
    let elsewhere = page.site.wait_for("/elsewhere/x").await;
    assert!(elsewhere.header("cookie").unwrap().contains("c=3"));
    page.tab.goto(&page.site.outside("/free/text")).await;
    assert_eq!(
        page.tab.evaluate("document.cookie").await,
        "",
        "seen outside the target"
    );
}
