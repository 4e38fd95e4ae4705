//! Asking the API server something that a response waits for: a deadline, and the retries that Kubernetes' own webhooks
//! make.
//!
//! Mirrors `pkg/util/webhook/webhook.go` of k8s.io/apiserver: five tries, 500 ms apart and half as long again each
//! time, for responses that another try may change. All tries together keep the deadline.

use std::time::Duration;

/// How long a caller waits for the API server in all.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Why the API server gave no response that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiServerError {
    #[error("the API server did not answer within {0:?}")]
    Late(Duration),
    #[error("the API server could not be asked")]
    Failed(#[from] kube::Error),
}

/// Asks until there is a response, a refusal that another try won't change, or the deadline.
///
/// # Errors
/// See [`ApiServerError`].
pub async fn call_with_retries<T, F>(mut question: impl FnMut() -> F) -> Result<T, ApiServerError>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let tries = async {
        let mut pause = FIRST_PAUSE;
        // One less than there are tries: the last one is below, after which there is no pause.
        for _ in 1..TRIES {
            match question().await {
                // Slept within the deadline, which bounds tries and pauses together.
                Err(failed) if another_try_may_help(&failed) => tokio::time::sleep(pause).await,
                answered => return Ok(answered?),
            }
            pause = pause * 3 / 2;
        }
        Ok(question().await?)
    };
    // On the heap: whoever may ask seldom does, and would carry all of this about with every request.
    tokio::time::timeout(DEADLINE, Box::pin(tries))
        .await
        .unwrap_or(Err(ApiServerError::Late(DEADLINE)))
}

fn another_try_may_help(failed: &kube::Error) -> bool {
    match failed {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 503 | 504),
        // The connection failed before a response. What is asked this way changes nothing, or has a name of its own, so
        // it may be asked twice.
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> kube::Error {
        kube::Error::Api(
            Status {
                code,
                ..Status::default()
            }
            .boxed(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn five_tries_are_made_when_another_may_help() {
        let tries = Cell::new(0);
        let response: Result<(), _> = call_with_retries(|| {
            tries.set(tries.get() + 1);
            async { Err(refused(429)) }
        })
        .await;
        assert!(matches!(response, Err(ApiServerError::Failed(_))));
        assert_eq!(tries.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_refusal_is_not_asked_again() {
        let tries = Cell::new(0);
        let response: Result<(), _> = call_with_retries(|| {
            tries.set(tries.get() + 1);
            async { Err(refused(403)) }
        })
        .await;
        assert!(response.is_err());
        assert_eq!(tries.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_api_server_is_late_after_the_deadline() {
        let start = tokio::time::Instant::now();
        let response: Result<(), _> = call_with_retries(std::future::pending).await;
        assert!(matches!(response, Err(ApiServerError::Late(_))));
        assert_eq!(start.elapsed(), DEADLINE);
    }
}
