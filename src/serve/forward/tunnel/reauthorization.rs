//! Whether a tunnel may go on: asked again from time to time, and never past its caller's certificate.
//!
//! A tunnel may live for weeks, and its request was authorized once. In: the [`Permit`] it began with. Out: why it has
//! to end. An authorizer that can't be asked ends no tunnel at once, as a restart of kube-apiserver would end all of
//! them; it does so after a grace.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::serve::authentication::Method;
use crate::serve::authorization::{Authorization, AuthorizationError, Permit};
use crate::serve::certificates::not_after;
use crate::serve::connection::Peer;

/// How long a tunnel goes on while nobody can say whether it may.
const NO_RESPONSE_GRACE: Duration = Duration::from_secs(15 * 60);

/// Until an authorizer that could not be asked is asked again.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The outcome of asking again, in its time.
pub type Reauthorized<'a> =
    Pin<Box<dyn Future<Output = Result<(), AuthorizationError>> + Send + 'a>>;

/// Says whether what was permitted still is.
pub trait Reauthorize: std::fmt::Debug + Send + Sync {
    fn still_permitted<'a>(&'a self, permit: &'a Permit) -> Reauthorized<'a>;
}

impl Reauthorize for Authorization {
    fn still_permitted<'a>(&'a self, permit: &'a Permit) -> Reauthorized<'a> {
        let (caller, info) = (permit.caller().clone(), permit.info().clone());
        Box::pin(async move { self.authorize_again(caller, info).await.map(drop) })
    }
}

/// Why a tunnel has to end.
#[derive(Debug, thiserror::Error)]
pub(in crate::serve::forward) enum Revocation {
    #[error("its caller may not do this any more")]
    Forbidden(#[source] AuthorizationError),
    #[error("nobody could say for too long whether it is still allowed")]
    NoResponse(#[source] AuthorizationError),
    #[error("its caller's certificate has ended")]
    CertificateExpired,
}

impl Revocation {
    /// One word for the log line and the metric label.
    pub(in crate::serve::forward) fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "tunnel_forbidden",
            Self::NoResponse(_) => "tunnel_review_failed",
            Self::CertificateExpired => "tunnel_certificate_ended",
        }
    }
}

/// What the right of a tunnel's caller to go on depends on.
#[derive(Debug)]
pub(in crate::serve::forward) struct Reauthorization {
    pub(in crate::serve::forward) permit: Permit,
    pub(in crate::serve::forward) authorizer: Arc<dyn Reauthorize>,
    /// Zero is never.
    pub(in crate::serve::forward) interval: Duration,
    /// The end of the caller's own certificate; the front proxy's says nothing of the caller.
    pub(in crate::serve::forward) certificate_end: Option<SystemTime>,
}

impl Reauthorization {
    pub(in crate::serve::forward) fn new(
        peer: &Peer,
        permit: &Permit,
        authorizer: &Arc<dyn Reauthorize>,
        interval: Duration,
    ) -> Self {
        let own_certificate = match permit.caller().method {
            // The certificate of the front proxy is kube-apiserver's, whose end does not end the right of who asked
            // through it.
            Method::ClientCertificate => peer.certificates().first(),
            Method::FrontProxy | Method::BearerToken | Method::Anonymous => None,
        };
        Self {
            permit: permit.clone(),
            authorizer: Arc::clone(authorizer),
            interval,
            // One that can't be read was not accepted either.
            certificate_end: own_certificate.and_then(|leaf| not_after(leaf).ok()),
        }
    }

    /// Resolves when the tunnel may not go on.
    pub(in crate::serve::forward) async fn revoked(&self) -> Revocation {
        // Both only wait and decide, so whichever is dropped loses nothing.
        tokio::select! {
            revoked = self.withdrawn() => revoked,
            () = self.certificate_ended() => Revocation::CertificateExpired,
        }
    }

    async fn certificate_ended(&self) {
        let Some(end) = self.certificate_end else {
            return std::future::pending().await;
        };
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::time::sleep(left).await;
    }

    async fn withdrawn(&self) -> Revocation {
        if self.interval.is_zero() {
            return std::future::pending().await;
        }
        let mut wait = spread(self.interval);
        let mut no_response_since: Option<Instant> = None;
        loop {
            // The first question comes after the interval and not at once: authorization has just been asked for the
            // request itself.
            tokio::time::sleep(wait).await;
            // No lock and no buffer is held meanwhile; the tunnel's bytes flow on beside this.
            wait = match self.authorizer.still_permitted(&self.permit).await {
                Ok(()) => {
                    // A single yes ends the grace, so that only an outage without a pause counts.
                    no_response_since = None;
                    spread(self.interval)
                }
                // A clear no ends the tunnel now. Everything else is no word on the caller, and has a grace.
                Err(refused @ AuthorizationError::Forbidden { .. }) => {
                    return Revocation::Forbidden(refused);
                }
                Err(
                    failed @ (AuthorizationError::Review(_)
                    | AuthorizationError::Crowded
                    | AuthorizationError::Contradiction),
                ) => {
                    let since = *no_response_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= NO_RESPONSE_GRACE {
                        return Revocation::NoResponse(failed);
                    }
                    // Sooner than the interval, so that the grace is not made of one or two questions.
                    RETRY_INTERVAL
                }
            };
        }
    }
}

/// Up to a tenth less, so that tunnels that began together do not ask together for ever.
fn spread(interval: Duration) -> Duration {
    let share = RandomState::new().hash_one(()) % 1024;
    interval.saturating_sub(interval / 10_240 * u32::try_from(share).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::Method as HttpMethod;

    use super::*;
    use crate::serve::api::RequestInfo;
    use crate::serve::authentication::{Caller, User};
    use crate::serve::config::ApiGroup;

    const INTERVAL: Duration = Duration::from_secs(300);

    /// Gives these responses in order, the last one for ever.
    #[derive(Debug)]
    struct Script(Mutex<Vec<Said>>);

    #[derive(Debug, Clone, Copy)]
    enum Said {
        Yes,
        No,
        Nothing,
    }

    impl Reauthorize for Script {
        fn still_permitted<'a>(&'a self, _: &'a Permit) -> Reauthorized<'a> {
            let mut script = self.0.lock().unwrap();
            let said = if script.len() > 1 {
                script.remove(0)
            } else {
                script[0]
            };
            Box::pin(std::future::ready(match said {
                Said::Yes => Ok(()),
                Said::No => Err(AuthorizationError::Forbidden {
                    message: "no".to_owned(),
                    subject: None,
                }),
                Said::Nothing => Err(AuthorizationError::Contradiction),
            }))
        }
    }

    fn permit(method: Method) -> Permit {
        let group = ApiGroup::for_tests();
        let uri =
            http::Uri::from_static("/apis/throughway.dev/v1/namespaces/demo/services/web/proxy/");
        let asked = RequestInfo::read(&group, &HttpMethod::GET, &uri).unwrap();
        let user = Arc::new(User::default());
        Permit::for_tests(Caller { user, method }, asked)
    }

    fn reauthorization(script: &[Said]) -> Reauthorization {
        Reauthorization {
            permit: permit(Method::BearerToken),
            authorizer: Arc::new(Script(Mutex::new(script.to_vec()))),
            interval: INTERVAL,
            certificate_end: None,
        }
    }

    /// Why it ended, and after how many seconds.
    async fn end(reauthorization: &Reauthorization) -> (&'static str, u64) {
        let begun = Instant::now();
        let revoked = reauthorization.revoked().await;
        (revoked.reason(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_ends_a_tunnel_at_the_next_question() {
        let (reason, after) = end(&reauthorization(&[Said::Yes, Said::Yes, Said::No])).await;
        assert_eq!(reason, "tunnel_forbidden");
        assert!((3 * 270..=3 * 300).contains(&after), "{after} s");
    }

    #[tokio::test(start_paused = true)]
    async fn an_authorizer_that_cannot_be_asked_ends_it_after_the_grace_alone() {
        let (reason, after) = end(&reauthorization(&[Said::Nothing])).await;
        assert_eq!(reason, "tunnel_review_failed");
        assert!((270 + 900..=300 + 931).contains(&after), "{after} s");
        let mut recovers = vec![Said::Nothing; 20];
        recovers.extend([Said::Yes, Said::Nothing]);
        let (_, after) = end(&reauthorization(&recovers)).await;
        assert!(
            after >= 270 + 20 * 30 + 270 + 900,
            "a yes begins a new grace: {after} s"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_with_its_callers_certificate_and_not_with_the_front_proxys() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_after = (SystemTime::now() + Duration::from_secs(3600)).into();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = params.self_signed(&key).unwrap().der().clone();
        let peer = Peer::new(([192, 0, 2, 1], 4711).into(), vec![leaf]);
        let always: Arc<dyn Reauthorize> = Arc::new(Script(Mutex::new(vec![Said::Yes])));
        let own = permit(Method::ClientCertificate);
        let own = Reauthorization::new(&peer, &own, &always, INTERVAL);
        let (reason, after) = end(&own).await;
        assert_eq!(reason, "tunnel_certificate_ended");
        assert!((3500..=3600).contains(&after), "{after} s");
        let fronted = permit(Method::FrontProxy);
        assert_eq!(
            Reauthorization::new(&peer, &fronted, &always, INTERVAL).certificate_end,
            None
        );
    }
}
