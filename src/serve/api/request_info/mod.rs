//! What a request asks for: the one reading of its method and path.
//!
//! Authorization, target and forwarding all read the [`RequestInfo`] made here; nothing looks at the path a second
//! time, so what was permitted and what is reached can't differ. Mirrors `RequestInfoFactory.NewRequestInfo` of
//! k8s.io/apiserver (`pkg/endpoints/request/requestinfo.go`) for the only resources that are served here.
//!
//! Reading is total: whatever arrives is either a `RequestInfo` or an [`Unserved`], and an `Unserved` gets a response
//! only after it is known who asks.

mod names;

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};
use percent_encoding::percent_decode_str;

use crate::protocol::envelope;
use crate::protocol::status::Status;
use crate::serve::config::ApiGroup;
use crate::serve::refusal::Refuse;

/// The path and query inside the target, exactly as they are to arrive: kube-apiserver decodes and sorts those of the
/// URL. A method may stand before them, for which Kubernetes has no verb.
pub const THROUGHWAY_PATH: HeaderName = HeaderName::from_static("throughway-path");

/// A request for a `/proxy` subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    pub verb: Verb,
    pub resource: Resource,
    /// Empty for nodes.
    pub namespace: Arc<str>,
    /// The whole name segment, decoded: `https:web:8443`. RBAC's `resourceNames` are compared with it.
    pub name: Arc<str>,
    /// As the backend is to get it.
    pub method: Method,
    uri: Uri,
    inside: usize,
}

/// The verb that RBAC is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    Create,
    Update,
    Patch,
    Delete,
    /// OPTIONS has no verb of its own; only a rule for all verbs allows it.
    Unnamed,
}

/// The resources that have a `proxy` subresource here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    Nodes,
    Pods,
    Services,
}

/// A request that this server has no response for, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    #[error("the server could not find the requested resource")]
    NothingHere,
    #[error("the path's name segments must not hold an encoded slash or invalid escapes")]
    Ambiguous,
    #[error(
        "Throughway-Path is one raw path inside the target with its query; it begins with a slash"
    )]
    RawPath,
    #[error("the method {0} is not supported on proxy subresources")]
    Method(Method),
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Unnamed => "",
        }
    }

    fn of(method: &Method) -> Result<Self, Unserved> {
        match method.as_str() {
            "GET" | "HEAD" => Ok(Self::Get),
            "POST" => Ok(Self::Create),
            "PUT" => Ok(Self::Update),
            "PATCH" => Ok(Self::Patch),
            "DELETE" => Ok(Self::Delete),
            "OPTIONS" => Ok(Self::Unnamed),
            _ => Err(Unserved::Method(method.clone())),
        }
    }
}

impl Resource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Services => "services",
        }
    }
}

impl Refuse for Unserved {
    fn status(&self) -> Status {
        match self {
            Self::NothingHere => Status::not_found(self.to_string()),
            Self::Ambiguous | Self::RawPath => Status::bad_request(self.to_string()),
            Self::Method(_) => Status::method_not_allowed(self.to_string()),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NothingHere => "nothing_here",
            Self::Ambiguous => "ambiguous_path",
            Self::RawPath => "raw_path",
            Self::Method(_) => "method",
        }
    }
}

impl RequestInfo {
    /// Reads `/apis/GROUP/VERSION/nodes/NAME/proxy[/PATH]` and
    /// `/apis/GROUP/VERSION/namespaces/NS/{pods,services}/NAME/proxy[/PATH]`.
    ///
    /// A node inside a namespace and a pod or service outside one are nothing here, whatever RBAC would say of them
    /// (CVE-2019-11247).
    pub fn read(group: &ApiGroup, method: &Method, uri: &Uri) -> Result<Self, Unserved> {
        let mut segments = Segments {
            path: uri.path(),
            at: 0,
        };
        // Each segment is compared decoded, as kube-apiserver does, so both read the same resource.
        segments.expect("apis")?;
        segments.expect(&group.name)?;
        segments.expect(group.version)?;
        let (namespace, resource) = match &*segments.next()? {
            "nodes" => (Arc::default(), Resource::Nodes),
            "namespaces" => (
                segments.name(names::is_namespace)?,
                namespaced(&segments.next()?)?,
            ),
            _ => return Err(Unserved::NothingHere),
        };
        let name = segments.name(names::is_reference)?;
        // Exactly `proxy`: nothing else of a pod or a Service is served here.
        segments.expect("proxy")?;
        // After the path, so that an odd method on a path that is none here is 404, as everywhere in Kubernetes.
        let verb = Verb::of(method)?;
        // Where the rest begins is kept as a number: the path inside is a part of the URI and never a copy that could
        // differ.
        let inside = segments.at;
        Ok(Self {
            verb,
            resource,
            namespace,
            name,
            method: method.clone(),
            uri: uri.clone(),
            inside,
        })
    }

    /// Reads a whole request: [`RequestInfo::read`], and `Throughway-Path` in the place of what the URL has for the
    /// target.
    ///
    /// The header changes nothing of who is named, so nothing of what is authorized but the path that a kubelet is
    /// asked for.
    pub fn of(
        group: &ApiGroup,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, Unserved> {
        // The URL first, as it alone says who is named and what is authorized.
        let asked = Self::read(group, method, uri)?;
        let mut raw = headers.get_all(THROUGHWAY_PATH).iter();
        let Some(first) = raw.next() else {
            return Ok(asked);
        };
        let line = first.to_str().map_err(|_| Unserved::RawPath)?;
        // Of two headers, one reader could take the first and another the last.
        if raw.next().is_some() {
            return Err(Unserved::RawPath);
        }
        match line.split_once(' ') {
            None => asked.at(method.clone(), line),
            Some((inner, path)) => asked.at(method.clone(), path)?.with_inner_method(inner),
        }
    }

    /// The same request with a method that Kubernetes has no verb for, for whoever may `create`. A kubelet knows none.
    fn with_inner_method(self, inner: &str) -> Result<Self, Unserved> {
        let inner: Method = inner.parse().map_err(|_| Unserved::RawPath)?;
        let is_served = self.resource != Resource::Nodes && envelope::is_inside(&inner);
        // Only a `create` carries such a method, so nobody gets further with it than RBAC lets them create.
        if self.method != Method::POST || !is_served {
            return Err(Unserved::Method(inner));
        }
        Ok(Self {
            method: inner,
            ..self
        })
    }

    /// The same target, asked for another path and query inside it.
    pub fn at(&self, method: Method, inside: &str) -> Result<Self, Unserved> {
        // `http` would cut a fragment off without a word.
        if !inside.starts_with('/') || inside.contains('#') {
            return Err(Unserved::RawPath);
        }
        let whole = format!("{}{inside}", self.prefix());
        Ok(Self {
            // Read anew: a redirect may change the method, and then another verb is asked about.
            verb: Verb::of(&method)?,
            method,
            uri: Uri::try_from(whole).map_err(|_| Unserved::RawPath)?,
            ..self.clone()
        })
    }

    /// The path inside the target as it was sent, byte for byte: empty for `…/proxy`, otherwise it starts with `/`.
    pub fn path_inside(&self) -> &str {
        &self.uri.path()[self.inside..]
    }

    /// The path up to and with `…/proxy`, as it was sent.
    pub fn prefix(&self) -> &str {
        &self.uri.path()[..self.inside]
    }

    /// The query as it was sent, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The whole of what was asked for, as it was sent.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }
}

fn namespaced(resource: &str) -> Result<Resource, Unserved> {
    match resource {
        "pods" => Ok(Resource::Pods),
        "services" => Ok(Resource::Services),
        _ => Err(Unserved::NothingHere),
    }
}

/// Walks over the segments of a path that is still encoded.
struct Segments<'a> {
    path: &'a str,
    /// Where the next segment's slash stands; the path's length at its end.
    at: usize,
}

impl<'a> Segments<'a> {
    /// The next segment, decoded.
    fn next(&mut self) -> Result<Cow<'a, str>, Unserved> {
        let rest = self.path[self.at..]
            .strip_prefix('/')
            .ok_or(Unserved::NothingHere)?;
        let end = rest.bytes().position(|byte| byte == b'/');
        let raw = &rest[..end.unwrap_or(rest.len())];
        self.at += 1 + raw.len();
        decode(raw)
    }

    fn expect(&mut self, wanted: &str) -> Result<(), Unserved> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(Unserved::NothingHere)
        }
    }

    /// The next segment as the name of something, if anything can have that name.
    fn name(&mut self, can_be: fn(&str) -> bool) -> Result<Arc<str>, Unserved> {
        match self.next()? {
            name if !name.is_empty() && can_be(&name) => Ok(name.into()),
            _ => Err(Unserved::NothingHere),
        }
    }
}

/// An encoded slash is refused: kube-apiserver would read it as the border of a segment, so the two could disagree on
/// who is named.
fn decode(raw: &str) -> Result<Cow<'_, str>, Unserved> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'\\')) {
        return Ok(Cow::Borrowed(raw));
    }
    let whole = |rest: &str| {
        rest.as_bytes()
            .get(..2)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Unserved::Ambiguous)?;
    if !raw.split('%').skip(1).all(whole) || decoded.contains(['/', '\\', '\0']) {
        return Err(Unserved::Ambiguous);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests;
