//! The way to the API server through proxies.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::certificates::Authority;
use super::server::Server;
use super::{Folder, ask, kubeconfig, load, nothing, options};
use crate::local::api_server::kubeconfig::load::Environment;
use crate::local::api_server::transport::proxy::{Proxy, ProxyEnvironment};
use crate::local::api_server::{ApiServer, ConfigError, ConnectError, ConnectionPurpose};

/// A proxy that connects to one address whatever it is asked for, and says what that was.
struct Between {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Between {
    async fn start<F>(
        target: SocketAddr,
        greet: fn(TcpStream, mpsc::UnboundedSender<String>) -> F,
    ) -> Self
    where
        F: Future<Output = Option<TcpStream>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let Some(mut client) = greet(tcp, sender.clone()).await else {
                    continue;
                };
                let mut server = TcpStream::connect(target).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await.ok();
            }
        });
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    fn asked(&mut self) -> String {
        self.asked.try_recv().expect("the proxy was asked")
    }
}

async fn connect(mut tcp: TcpStream, asked: mpsc::UnboundedSender<String>) -> Option<TcpStream> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.ok()?);
    }
    asked.send(String::from_utf8(head).unwrap()).ok()?;
    tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    Some(tcp)
}

async fn refuse(mut tcp: TcpStream, asked: mpsc::UnboundedSender<String>) -> Option<TcpStream> {
    asked.send("refused".to_owned()).ok()?;
    let response = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    tcp.write_all(response).await.ok()?;
    None
}

/// SOCKS5 with a user name and password.
async fn socks(mut tcp: TcpStream, asked: mpsc::UnboundedSender<String>) -> Option<TcpStream> {
    let mut text = String::new();
    let mut methods = [0; 2];
    tcp.read_exact(&mut methods).await.ok()?;
    let mut offered = vec![0; usize::from(methods[1])];
    tcp.read_exact(&mut offered).await.ok()?;
    assert!(offered.contains(&2));
    tcp.write_all(&[5, 2]).await.ok()?;
    assert_eq!(tcp.read_u8().await.ok()?, 1);
    for _ in 0..2 {
        let mut word = vec![0; usize::from(tcp.read_u8().await.ok()?)];
        tcp.read_exact(&mut word).await.ok()?;
        text += &format!("{} ", String::from_utf8(word).unwrap());
    }
    tcp.write_all(&[1, 0]).await.ok()?;
    let mut head = [0; 4];
    tcp.read_exact(&mut head).await.ok()?;
    assert_eq!(head, [5, 1, 0, 3], "a name, which the proxy resolves");
    let mut name = vec![0; usize::from(tcp.read_u8().await.ok()?)];
    tcp.read_exact(&mut name).await.ok()?;
    let port = tcp.read_u16().await.ok()?;
    asked
        .send(format!("{text}{}:{port}", String::from_utf8(name).unwrap()))
        .ok()?;
    tcp.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    Some(tcp)
}

async fn server(authority: &Authority) -> Server {
    Server::start(&authority.issue("api", &["api.example"]), authority).await
}

#[tokio::test]
async fn the_kubeconfigs_proxy_url_leads_through_connect() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let mut server = server(&authority).await;
    let mut proxy = Between::start(server.address, connect).await;
    let cluster = format!(
        "{{server: 'https://api.example', certificate-authority-data: {}, proxy-url: 'http://Aladdin:open%20sesame@{}'}}",
        authority.data(),
        proxy.address
    );
    let api = load(&folder, &cluster, "{token: one}").await.unwrap();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer one"));
    let asked = proxy.asked();
    assert!(
        asked.starts_with("CONNECT api.example:443 HTTP/1.1\r\n"),
        "{asked}"
    );
    let login = "proxy-authorization: basic qwxhzgrpbjpvcgvuihnlc2ftzq==\r\n";
    assert!(asked.to_ascii_lowercase().contains(login), "{asked}");
    assert!(!asked.contains("Bearer"), "{asked}");
}

#[tokio::test]
async fn the_environments_proxy_is_used_unless_no_proxy_lists_the_server() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let mut server = server(&authority).await;
    let mut proxy = Between::start(server.address, connect).await;
    let cluster = format!(
        "{{server: 'https://api.example:6443', certificate-authority-data: {}}}",
        authority.data()
    );
    let path = folder.write("config", kubeconfig(&cluster, "{}"));
    let environment = Environment {
        proxies: ProxyEnvironment {
            https_proxy: Some(format!("http://{}", proxy.address)),
            ..ProxyEnvironment::default()
        },
        ..nothing()
    };
    let api = ApiServer::load_in(&options(&path), environment)
        .await
        .unwrap();
    ask(&api).await;
    server.next();
    assert!(
        proxy
            .asked()
            .starts_with("CONNECT api.example:6443 HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn a_socks5_proxy_resolves_the_name() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let mut server = server(&authority).await;
    let mut proxy = Between::start(server.address, socks).await;
    let cluster = format!(
        "{{server: 'https://api.example:6443', certificate-authority-data: {}, proxy-url: 'socks5://me:pass@{}'}}",
        authority.data(),
        proxy.address
    );
    let api = load(&folder, &cluster, "{token: one}").await.unwrap();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer one"));
    assert_eq!(proxy.asked(), "me pass api.example:6443");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let server = server(&authority).await;
    let proxy = Between::start(server.address, refuse).await;
    let cluster = format!(
        "{{server: 'https://api.example', proxy-url: 'http://me:hidden@{}'}}",
        proxy.address
    );
    let api = load(&folder, &cluster, "{}").await.unwrap();
    let failed = api.connect(ConnectionPurpose::Exchange).await.unwrap_err();
    assert!(matches!(failed, ConnectError::Proxy { .. }), "{failed}");
    let shown = format!("{failed} {failed:?} {:?}", failed.problem());
    assert!(shown.contains(&proxy.address.to_string()), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn which_proxy_is_decided_as_go_does() {
    let environment = |no_proxy: &str| ProxyEnvironment {
        https_proxy: Some("http://secure.proxy:3128".to_owned()),
        http_proxy: Some("plain.proxy:3128".to_owned()),
        no_proxy: Some(no_proxy.to_owned()),
    };
    let plain = Some("http://plain.proxy:3128/");
    let secure = Some("http://secure.proxy:3128/");
    for (server, no_proxy, expected) in [
        ("https://api.example", "", secure),
        ("http://api.example", "", plain),
        ("https://localhost:6443", "", None),
        ("https://127.8.8.8", "", None),
        ("https://[::1]:6443", "", None),
        ("https://api.example", "example", None),
        ("https://api.example", "other.example, .example", None),
        ("https://api.example", "*", None),
        ("https://api.example", "pi.example", secure),
        ("https://10.1.2.3:6443", "10.0.0.0/8", None),
        ("https://10.1.2.3:6443", "10.1.2.3", None),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", None),
        ("https://10.1.2.3:6443", "10.1.2.3:443", secure),
        ("https://api.example", "api.example:443", None),
        ("https://[fd00::1]:6443", "fd00::/8", None),
        ("https://[fd00::1]:6443", "fd00::1", None),
    ] {
        let server = server.parse().unwrap();
        let proxy = Proxy::of(&server, None, &environment(no_proxy)).unwrap();
        let uri = proxy.map(|proxy| proxy.uri.to_string());
        assert_eq!(uri.as_deref(), expected, "{server} {no_proxy}");
    }
    let server = "https://localhost".parse().unwrap();
    let own = Proxy::of(&server, Some("socks5://own:1"), &environment("*"));
    assert_eq!(own.unwrap().unwrap().uri, "socks5://own:1/");
    for wrong in ["ftp://own:1", "socks4://own:1", "http://", "://"] {
        let failed = Proxy::of(&server, Some(wrong), &ProxyEnvironment::default());
        assert!(matches!(failed, Err(ConfigError::BadProxy)), "{wrong}");
    }
}

#[tokio::test]
async fn a_proxy_may_speak_tls_with_the_systems_trust() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let proxy = Server::start(&authority.issue("proxy", &["127.0.0.1"]), &authority).await;
    let cluster = format!(
        "{{server: 'https://api.example', proxy-url: '{}'}}",
        proxy.url()
    );
    let api = Arc::new(load(&folder, &cluster, "{}").await.unwrap());
    // The test's authority is none of the system's, and this says how far the way goes.
    let failed = api.connect(ConnectionPurpose::Exchange).await.unwrap_err();
    let ConnectError::Proxy { reason, .. } = &failed else {
        panic!("{failed}")
    };
    assert!(reason.contains("is not trusted"), "{reason}");
}
