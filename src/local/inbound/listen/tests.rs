//! Ports of both loopbacks, and sockets that only their user can open.

use super::*;

fn on(address: IpAddr, port: u16) -> LocalListen {
    LocalListen::Tcp { address, port }
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[tokio::test]
async fn both_loopbacks_are_held_on_the_same_port() {
    for (asked, other) in [(V4, V6), (V6, V4)] {
        let listener = CompanionListener::bind(&on(asked, 0)).await.unwrap();
        for address in [asked, other] {
            let to = SocketAddr::from((address, listener.port()));
            let taken = TcpListener::bind(to).await;
            assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse, "{to}");
            let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(to));
            let accepted = accepted.unwrap();
            assert_eq!(accepted.address.unwrap(), address.to_string());
            assert_eq!(accepted.peer, PeerLocation::ThisMachine);
            connected.unwrap();
        }
    }
}

#[tokio::test]
async fn a_port_that_somebody_has_on_the_other_loopback_is_in_use() {
    let theirs = TcpListener::bind((V6, 0)).await.unwrap();
    let port = theirs.local_addr().unwrap().port();
    match CompanionListener::bind(&on(V4, port)).await {
        Err(ListenError::InUse(taken)) => assert_eq!(taken, (V6, port).into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn home_is_where_browsers_find_it() {
    for (address, host) in [
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::1", "localhost"),
        ("127.0.0.2", "127.0.0.2"),
    ] {
        let listener = CompanionListener::bind(&on(address.parse().unwrap(), 0))
            .await
            .unwrap();
        assert_eq!(listener.home(), format!("{host}:{}", listener.port()));
    }
}

#[tokio::test]
async fn a_socket_goes_with_its_program_and_leaves_anothers() {
    let folder = std::env::temp_dir().join(format!("throughway-socket-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("k");
    let bind = async || CompanionListener::bind(&LocalListen::Unix(path.clone())).await;
    let first = bind().await.unwrap();
    assert_eq!(first.home(), "localhost");
    let second = bind().await.unwrap();
    drop(first);
    assert!(path.exists(), "it is the second one's");
    drop(second);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // Where a folder is in its place, that is what is said, and nothing is left.
    std::fs::create_dir(&path).unwrap();
    assert!(bind().await.is_err());
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Of another file nothing is lost.
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "a file").unwrap();
    assert!(bind().await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_socket_is_its_users_alone_before_it_is_at_its_path() {
    let rights = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    let path = std::env::temp_dir().join(format!("throughway-rights-{}", std::process::id()));
    let folder = private_folder_beside(&path).unwrap();
    assert_eq!(rights(&folder), 0o700);
    // It can't take the place of a folder, so it stays where it was made.
    assert!(bind_in(&folder, &folder).is_err());
    assert_eq!(rights(&folder.join("socket")), 0o700);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn only_loopback_is_this_machine() {
    for (address, peer) in [
        ("127.0.0.1", PeerLocation::ThisMachine),
        ("127.8.8.8", PeerLocation::ThisMachine),
        ("::1", PeerLocation::ThisMachine),
        ("::ffff:127.0.0.1", PeerLocation::ThisMachine),
        ("10.0.0.1", PeerLocation::OtherMachine),
        ("::ffff:10.0.0.1", PeerLocation::OtherMachine),
        ("fe80::1", PeerLocation::OtherMachine),
    ] {
        assert_eq!(
            PeerLocation::of(address.parse().unwrap()),
            peer,
            "{address}"
        );
    }
}
