//! `--address ::1`: the address that is printed is one that is answered (kubernetes#77496).

use super::*;

#[tokio::test]
async fn an_ipv6_address_is_accepted_with_its_port() {
    let world = World::new(&["--address=::1"]).await;
    for host in ["[::1]:8001", "[::1]", "localhost:8001"] {
        let response = world.ask(host, "GET /version", &[]).await;
        assert_eq!(response.status(), 200, "{host}");
        let from_page = [("origin", "http://[::1]:8001")];
        let response = world.ask(host, "POST /api/v1/x", &from_page).await;
        let expected = if host == "[::1]:8001" { 200 } else { 403 };
        assert_eq!(response.status(), expected, "{host}");
    }
    for host in ["[::2]:8001", "[::1]:8001:1", "[::1].example:8001"] {
        let response = world.ask(host, "GET /version", &[]).await;
        assert_ne!(response.status(), 200, "{host}");
    }
}
