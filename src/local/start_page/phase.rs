//! Where the controller is: waiting for first lists, watching, or waiting for a cluster that does not answer.
//!
//! Each phase has the one future that ends it, so a timer or a probe can't outlive the phase that it belongs to.
//!
//! | phase | ends when |
//! |---|---|
//! | `Listing` | a list came, one failed, or nothing came for [`SILENCE_TIMEOUT`] |
//! | `FindingNamespaces` | the namespaces to list one by one are known |
//! | `Watching` | a list fails, or a watch broke and the probe after it fails too |
//! | `Unreachable` | a list came, or a probe succeeds: then all begins anew |
//! | `Silent` | a list came, or [`RELIST_TIMEOUT`] is over: then all begins anew |
//! | `LoggedOut` | somebody views the page |

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Client;
use kube::api::{Api, ListParams};

use super::model::cluster_error::{self, ClusterError};

/// After so long without a list the page says that the cluster does not answer.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// After so long without a list everything is listed anew.
const RELIST_TIMEOUT: Duration = Duration::from_secs(30);
/// For one response to a small request.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Namespaces that are watched one by one.
const MAX_NAMESPACES: u32 = 60;

pub(super) type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A small request that shows whether the cluster answers: `Err` where it does not.
pub(super) type Probe = Running<Result<(), ClusterError>>;

pub(super) enum WatchPhase {
    /// Everything was asked for, and no list came yet.
    Listing { silence_timer: Running<()> },
    /// The whole cluster may not be listed.
    FindingNamespaces { search: Running<Vec<String>> },
    /// Lists came, and watches tell what changes.
    Watching { probe: Option<Probe> },
    /// A request failed. The cluster is probed again and again.
    Unreachable { probe: Probe },
    /// Nothing came for long, and nothing failed either.
    Silent { relist_timer: Running<()> },
    /// The credentials are refused. They are not tried again until somebody views the page: a plugin that makes
    /// credentials may ask its user each time.
    LoggedOut,
}

/// What ended a phase's future.
pub(super) enum PhaseEvent {
    SilenceTimeout,
    RelistTimeout,
    NamespacesFound(Vec<String>),
    Probed(Result<(), ClusterError>),
}

impl WatchPhase {
    pub(super) fn listing() -> Self {
        Self::Listing {
            silence_timer: Box::pin(tokio::time::sleep(SILENCE_TIMEOUT)),
        }
    }

    pub(super) fn silent() -> Self {
        Self::Silent {
            relist_timer: Box::pin(tokio::time::sleep(RELIST_TIMEOUT)),
        }
    }

    /// Waits for what ends the phase. A phase that nothing ends from inside waits forever.
    ///
    /// Cancel-safe: the future stays in the phase until it has finished. Whoever gets its event replaces the phase, as
    /// a future that has finished can't be polled again.
    pub(super) async fn next_event(&mut self) -> PhaseEvent {
        match self {
            Self::Listing { silence_timer } => {
                silence_timer.await;
                PhaseEvent::SilenceTimeout
            }
            Self::Silent { relist_timer } => {
                relist_timer.await;
                PhaseEvent::RelistTimeout
            }
            Self::FindingNamespaces { search } => PhaseEvent::NamespacesFound(search.await),
            Self::Watching { probe: Some(probe) } | Self::Unreachable { probe } => {
                PhaseEvent::Probed(probe.await)
            }
            Self::Watching { probe: None } | Self::LoggedOut => pending().await,
        }
    }
}

/// The default namespace, and after it those that the user may list.
pub(super) fn find_namespaces(client: Client, default_namespace: String) -> Running<Vec<String>> {
    Box::pin(async move {
        let parameters = ListParams::default().limit(MAX_NAMESPACES);
        let api = Api::<Namespace>::all(client);
        let listing = api.list_metadata(&parameters);
        let found = tokio::time::timeout(RESPONSE_TIMEOUT, listing).await;
        // Who may not list namespaces has the default one.
        let found = found.ok().and_then(Result::ok);
        let found = found.into_iter().flat_map(|list| list.items);
        let names = found.filter_map(|one| one.metadata.name);
        let others = names.filter(|name| *name != default_namespace);
        let mut names = vec![default_namespace.clone()];
        names.extend(others);
        names
    })
}

/// Lists one Service after a while. "You may not" is a response as well.
pub(super) fn probe_after(delay: Duration, api: Api<Service>) -> Probe {
    Box::pin(async move {
        // Within the probe, so that it is dropped with the phase that it belongs to.
        tokio::time::sleep(delay).await;
        let one = ListParams::default().limit(1);
        match tokio::time::timeout(RESPONSE_TIMEOUT, api.list_metadata(&one)).await {
            // A refusal is a response, so the cluster is there.
            Ok(Err(failed)) if !cluster_error::is_forbidden(&failed) => {
                Err(ClusterError::of(&failed))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(ClusterError::Silent),
        }
    })
}
