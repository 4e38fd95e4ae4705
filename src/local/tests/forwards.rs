//! What a port of `--forward` serves.

use super::*;

async fn code(world: &World, host: &str) -> u16 {
    let scope = ListenerScope::Target(Arc::new(target("prometheus.monitoring.svc.localhost")));
    let peer = PeerLocation::ThisMachine;
    let response = world.ask_from(peer, &scope, host, "GET /x", &TYPED).await;
    response.status().as_u16()
}

#[tokio::test]
async fn a_forward_serves_its_own_names_alone() {
    let world = World::new(&[]).await;
    for host in [
        "localhost:9090",
        "127.0.0.1:9090",
        "[::1]:9090",
        "prometheus.monitoring.svc.localhost:9090",
        "Prometheus.Monitoring.svc.localhost:9090",
    ] {
        assert_eq!(code(&world, host).await, 200, "{host}");
    }
}

#[tokio::test]
async fn a_forward_is_no_other_target_and_no_other_name() {
    let world = World::new(&[]).await;
    for host in [
        "grafana.monitoring.svc.localhost:9090",
        "prometheus.demo.svc.localhost:9090",
        "9090.prometheus.monitoring.svc.localhost:9090",
        "prometheus.monitoring.pod.localhost:9090",
        "x.localhost:9090",
        "evil.example:9090",
        "",
    ] {
        assert_eq!(code(&world, host).await, 421, "{host}");
    }
    assert_eq!(world.proxied(), Vec::<String>::new());
}
