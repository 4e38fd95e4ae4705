//! Who may ask targets for what, at their own origins and at forwarded ports. In: `--targets`, kubectl's rules, and a
//! request. Out: nothing, or a refusal.
//!
//! A `Host` says nothing about who sends it, so connections from other machines reach targets only where a flag says
//! so. The rules are about what is done at the API server, so they see the path that the target has there, in `/api/v1`
//! whichever proxy of the cluster is used.

use crate::local::config::{Filtering, LocalTargets, TargetPeers};
use crate::local::inbound::host_route::Target;
use crate::local::inbound::listen::PeerLocation;
use crate::local::kubectl::filter;
use crate::local::kubectl::request_path::{as_text, clean, unescape};
use crate::local::problem::{Advice, Problem};
use crate::protocol::status::{Request, Status};

/// Refuses connections from where targets are not served.
pub(in crate::local) fn check_peer(
    targets: &LocalTargets,
    peer: PeerLocation,
) -> Result<(), Problem> {
    match (targets.peers, peer) {
        (TargetPeers::Everywhere, _) | (TargetPeers::Loopback, PeerLocation::ThisMachine) => Ok(()),
        (TargetPeers::Loopback, PeerLocation::OtherMachine) => {
            let status = Status::forbidden("targets are for the machine that this runs on");
            let advice = "Start it with --targets=everywhere if whoever reaches its port may use them with your credentials.";
            Err(Problem::new(status, "Refused").advise(Advice::Sentence(advice.to_owned())))
        }
    }
}

/// Refuses what the rules don't accept.
pub(in crate::local) fn check(
    targets: &LocalTargets,
    target: &Target,
    request: &Request,
) -> Result<(), Problem> {
    let Filtering::Rules(rules) = &targets.rules else {
        return Ok(());
    };
    let inside = request.uri().path();
    let decoded = unescape(inside).unwrap_or_else(|| inside.as_bytes().to_vec());
    let path = format!("{}{}", target.proxy_path("/api/v1"), as_text(&decoded));
    // What is behind may take `/x/../y` and `//y` for `/y`.
    let cleaned = as_text(&clean(path.as_bytes()));
    let is_accepted = |path: &str| filter::accepts_path(rules, request.method(), path);
    // Both readings have to be accepted, as it is not known which one the backend takes.
    if is_accepted(&path) && is_accepted(&cleaned) {
        return Ok(());
    }
    let status = Status::forbidden(format!("{} {path} is not accepted", request.method()));
    Err(
        Problem::new(status, "Refused by the rules of this server").advise(Advice::Sentence(
            "--accept-paths, --reject-paths and --reject-methods say what is accepted.".to_owned(),
        )),
    )
}
