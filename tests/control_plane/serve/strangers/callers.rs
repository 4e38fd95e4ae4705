//! One user's requests, through the connection that carries everybody's.

use std::time::Duration;

use throughway_testing::attacks::scene::{in_time, service};
use throughway_testing::attacks::through::{Sent, Ticking, median_post, stall};
use throughway_testing::client::{Client, request};
use throughway_testing::control_plane::{Cluster, alone_on_cluster};

use super::strangers;

/// What a busy machine adds to a median of a few milliseconds.
const NOISE: Duration = Duration::from_millis(20);

/// Lines of the stream that is open all the time: half a minute.
const LINES: usize = 300;

/// The second 900 come while the kernel still holds what the first ones left.
#[test]
fn uploads_to_a_pod_that_never_reads_hold_up_nobody_elses() {
    alone_on_cluster(async |cluster: &Cluster| {
        let bystander = &strangers(cluster).await.bystander;
        for uploads in [1, 100, 900, 900] {
            let before = median_post(bystander).await;
            let stalled = stall(&cluster.admin(), uploads).await;
            let now = median_post(bystander).await;
            assert!(
                now <= before * 2 + NOISE,
                "{before:?} became {now:?} beside {uploads} stalled uploads"
            );
            drop(stalled);
        }
    });
}

#[test]
fn nothing_that_one_user_sends_breaks_off_anothers_stream_of_half_a_minute() {
    alone_on_cluster(async |cluster: &Cluster| {
        let bystander = &strangers(cluster).await.bystander;
        let attacker = cluster.admin();
        let open = Ticking::begin(bystander).await;
        let attacks = async {
            for attack in Sent::ALL {
                attack.run(&attacker).await;
                still_gets_responses(bystander, attack).await;
            }
        };
        let lines = open.read(bystander, LINES, attacks).await;
        assert!(matches!(lines, Ok(lines) if lines >= LINES), "{lines:?}");
    });
}

async fn still_gets_responses(bystander: &Client, attack: Sent) {
    let asked = bystander.try_ask(request("GET", &service("calm", "/"), &[], ""));
    let response = in_time("an answer beside an attack", asked).await;
    assert!(
        response.is_some_and(|response| response.status == 200),
        "{attack:?}"
    );
}
