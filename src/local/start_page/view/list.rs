//! The list of Services as markup: one section a namespace, which `sse` sends again when it has changed.

use crate::local::config::TargetScheme;
use crate::local::inbound::host_route::Target;
use crate::local::pages::html::Html;
use crate::local::start_page::model::rights::Right;
use crate::local::start_page::model::snapshot::{
    EndpointStatus, Link, ShownNamespace, ShownPort, ShownService, Snapshot,
};

const SECTION: &str = r#"<section class="namespace{{class}}" id="{{id}}" aria-labelledby="{{id}}-h"><h2 id="{{id}}-h">{{name}}</h2>{{note}}<ul class="services">{{rows}}</ul></section>"#;
const ROW: &str = r#"<li data-words="{{words}}"><div class="reach">{{reach}}</div>{{status}}</li>"#;
const ONE: &str = r#"<a class="one" href="{{url}}"><span class="name">{{name}}</span> <span class="port">{{port}}</span></a>"#;
const SEVERAL: &str = r#"<span class="name">{{name}}</span> {{ports}}"#;
const PORT: &str = r#"<a class="port" href="{{url}}" aria-label="{{label}}">{{port}}</a> "#;
const CLOSED_PORT: &str = r#"<span class="port no">{{port}}{{why}}</span> "#;
const WHY: &str = " <small>{{why}}</small>";
const WHY_NO_RIGHT: &str = r#" <small class="right">no right</small>"#;
const STATUS: &str = r#" <span class="endpoints {{class}}">{{text}}</span>"#;
const EMPTY: &str = r#"<p id="empty">{{text}}</p>"#;
const NO_RIGHT: &str = "<p>You have no right to reach these: it is <code>get</code> on <code>{{right}}</code> in this namespace.</p>";

/// A part of the list, and the name by which it is found again in an open page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct Section {
    pub(in crate::local::start_page) id: String,
    pub(in crate::local::start_page) html: Html,
}

/// The words of a search; a Service is found if it has them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local::start_page) struct Search(Vec<String>);

impl Search {
    pub(in crate::local::start_page) fn of(text: &str) -> Self {
        let words = text.split_whitespace().map(str::to_lowercase);
        Self(words.collect())
    }

    fn finds(&self, words: &str) -> bool {
        self.0.iter().all(|word| words.contains(word))
    }
}

/// Every namespace that has something of what is searched; `port` is this server's, as in `:8001`.
pub(in crate::local::start_page) fn sections(
    snapshot: &Snapshot,
    search: &Search,
    port: &str,
) -> Vec<Section> {
    let namespaces = snapshot.namespaces.iter();
    let sections: Vec<Section> = namespaces
        .filter_map(|namespace| section(namespace, search, port, snapshot.group.as_deref()))
        .collect();
    if !sections.is_empty() {
        return sections;
    }
    let text = if snapshot.error.is_some() {
        return sections;
    } else if !snapshot.namespaces.is_empty() {
        "Nothing here has that name."
    } else if snapshot.settled {
        "There are no Services here that you may see."
    } else {
        "The cluster is being asked …"
    };
    vec![Section {
        id: "empty".to_owned(),
        html: Html::fill(EMPTY, &[("text", Html::fixed(text))]),
    }]
}

/// How much there is, in words; nothing as long as nobody knows.
pub(in crate::local::start_page) fn summary(snapshot: &Snapshot, search: &Search) -> String {
    let is_known = snapshot.settled && snapshot.error.is_none();
    if snapshot.namespaces.is_empty() && !is_known {
        return String::new();
    }
    let all = count(snapshot);
    if search.0.is_empty() {
        return all;
    }
    let namespaces = snapshot.namespaces.iter();
    let found = namespaces.flat_map(|namespace| {
        let services = namespace.services.iter();
        services.filter(|service| search.finds(&service.words(&namespace.name)))
    });
    format!("{} of {all}", found.count())
}

fn count(snapshot: &Snapshot) -> String {
    let (services, namespaces) = (snapshot.services(), snapshot.namespaces.len());
    let plural = |count| if count == 1 { "" } else { "s" };
    format!(
        "{services} service{} in {namespaces} namespace{}",
        plural(services),
        plural(namespaces)
    )
}

fn section(
    namespace: &ShownNamespace,
    search: &Search,
    port: &str,
    group: Option<&str>,
) -> Option<Section> {
    let services = namespace.services.iter();
    let found: Vec<&ShownService> = services
        .filter(|service| search.finds(&service.words(&namespace.name)))
        .collect();
    if found.is_empty() {
        return None;
    }
    let (class, note) = match is_closed(namespace) {
        true => (" closed", no_right(group)),
        false => ("", Html::default()),
    };
    let rows = found.into_iter().map(|one| row(one, &namespace.name, port));
    let id = format!("ns-{}", namespace.name);
    let html = Html::fill(
        SECTION,
        &[
            ("id", Html::text(&id)),
            ("name", Html::text(&namespace.name)),
            ("class", Html::fixed(class)),
            ("note", note),
            ("rows", rows.collect()),
        ],
    );
    Some(Section { id, html })
}

fn no_right(group: Option<&str>) -> Html {
    let right = match group {
        Some("") | None => "services/proxy".to_owned(),
        // As kubectl writes it.
        Some(group) => format!("services.{group}/proxy"),
    };
    Html::fill(NO_RIGHT, &[("right", Html::text(&right))])
}

/// Whether it is known of every port of a namespace that the user may not reach it.
fn is_closed(namespace: &ShownNamespace) -> bool {
    let ports = namespace.services.iter().flat_map(|one| &one.ports);
    let mut rights = ports.filter_map(|port| match port.link {
        Link::To(_, right) => Some(right),
        Link::OtherTransport(_) | Link::Nameless => None,
    });
    let mut some = false;
    let closed = rights.all(|right| {
        some = true;
        right == Right::No
    });
    some && closed
}

fn row(service: &ShownService, namespace: &str, port: &str) -> Html {
    let is_outside = service.status == EndpointStatus::ExternalName;
    let name = Html::text(&service.name);
    let reach = match &service.ports[..] {
        [only] if !is_outside && open(only).is_some() => Html::fill(
            ONE,
            &[
                ("url", url(open(only), port)),
                ("name", name),
                ("port", port_text(only)),
            ],
        ),
        ports => {
            let ports = ports.iter();
            let ports = ports.map(|one| port_of_several(service, one, port, is_outside));
            Html::fill(SEVERAL, &[("name", name), ("ports", ports.collect())])
        }
    };
    Html::fill(
        ROW,
        &[
            ("words", Html::text(&service.words(namespace))),
            ("reach", reach),
            ("status", status(service)),
        ],
    )
}

/// Where a port leads, unless it is known that it leads nowhere.
fn open(port: &ShownPort) -> Option<&Target> {
    match &port.link {
        Link::To(target, Right::Yes | Right::Unknown) => Some(target),
        Link::To(_, Right::No) | Link::OtherTransport(_) | Link::Nameless => None,
    }
}

fn url(target: Option<&Target>, port: &str) -> Html {
    let host = target.map(Target::host).unwrap_or_default();
    Html::text(&format!("http://{host}{port}/"))
}

fn port_of_several(service: &ShownService, one: &ShownPort, port: &str, is_outside: bool) -> Html {
    let why = match &one.link {
        _ if is_outside => Html::default(),
        Link::To(_, Right::No) => Html::fixed(WHY_NO_RIGHT),
        Link::OtherTransport(transport) => Html::fill(WHY, &[("why", Html::text(transport))]),
        Link::Nameless => Html::fill(WHY, &[("why", Html::fixed("no address"))]),
        Link::To(target, Right::Yes | Right::Unknown) => {
            let label = format!("{}, port {} {}", service.name, one.name, one.number);
            return Html::fill(
                PORT,
                &[
                    ("url", url(Some(target), port)),
                    ("label", Html::text(&label)),
                    ("port", port_text(one)),
                ],
            );
        }
    };
    Html::fill(CLOSED_PORT, &[("port", port_text(one)), ("why", why)])
}

/// Name and number, and whether it is reached over TLS if the name does not say so.
fn port_text(port: &ShownPort) -> Html {
    let is_tls =
        matches!(&port.link, Link::To(target, _) if target.scheme == Some(TargetScheme::Https));
    let mut text = String::new();
    if !port.name.is_empty() {
        text = format!("{} ", port.name);
    }
    text.push_str(&port.number.to_string());
    let tls = if is_tls && !port.name.contains("https") {
        " <small>TLS</small>"
    } else {
        ""
    };
    [Html::text(&text), Html::fixed(tls)].into_iter().collect()
}

fn status(service: &ShownService) -> Html {
    let (class, text) = match service.status {
        EndpointStatus::Unknown => return Html::default(),
        EndpointStatus::ExternalName => ("plain", "a name outside the cluster".to_owned()),
        EndpointStatus::Endpoints { all: 0, .. } => ("none", "no endpoints".to_owned()),
        EndpointStatus::Endpoints { ready: 0, all } => ("none", format!("0 of {all} ready")),
        EndpointStatus::Endpoints { ready, all } if ready == all => {
            ("good", format!("{ready} ready"))
        }
        EndpointStatus::Endpoints { ready, all } => ("some", format!("{ready} of {all} ready")),
    };
    Html::fill(
        STATUS,
        &[("class", Html::fixed(class)), ("text", Html::text(&text))],
    )
}
