//! Waiting for what no event tells of.

use std::time::Duration;

/// Nothing that a test waits for takes longer, unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked: a machine with two cores has other tests to run.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until something is so, and fails if it is never so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let look = async {
        while !so().await {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, look).await;
    assert!(in_time.is_ok(), "never so: {what}");
}
