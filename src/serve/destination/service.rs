//! A Service: one of its ports, and the slices that say who serves it.

use std::sync::Arc;

use super::error::{DestinationError, subject};
use super::found::{Backends, Destination, host_header};
use super::scheme_name_port::SchemeNamePort;
use crate::serve::authorization::Permit;
use crate::serve::cluster::{Cluster, Service, ServicePort};

pub(super) async fn resolve<'p>(
    cluster: &Cluster,
    permit: &'p Permit,
    reference: &SchemeNamePort<'_>,
) -> Result<Destination<'p>, DestinationError> {
    let asked = permit.info();
    let subject = || subject(asked, reference);
    let service = match cluster.find_service(&asked.namespace, reference.name).await {
        Ok(Some(service)) => service,
        Ok(None) => return Err(DestinationError::NotFound(subject())),
        Err(cause) => {
            let subject = subject();
            return Err(DestinationError::Unknown { subject, cause });
        }
    };
    if service.external_name {
        return Err(DestinationError::ExternalName {
            owner: format!("service {:?}", reference.name),
        });
    }
    let port = port(&service, reference)?;
    let host = match &service.settings.host {
        Some(host) => host.clone(),
        None => {
            let name = format!("{}.{}.svc", reference.name, asked.namespace);
            host_header(name, port.number, reference.scheme)?
        }
    };
    Ok(Destination {
        permit,
        scheme: reference.scheme,
        host,
        settings: Arc::clone(&service.settings),
        backends: Backends::Endpoints {
            namespace: Arc::clone(&asked.namespace),
            service: Arc::from(reference.name),
            port: port.name.clone(),
            slices: cluster
                .slices(&asked.namespace, reference.name)
                .unwrap_or_default(),
        },
    })
}

/// The port by number or name; without one the port that has no name, or the only one.
fn port<'a>(
    service: &'a Service,
    reference: &SchemeNamePort<'_>,
) -> Result<&'a ServicePort, DestinationError> {
    let owner = || format!("service {:?}", reference.name);
    let known = || {
        let shown = |port: &ServicePort| match &*port.name {
            "" => port.number.to_string(),
            name => format!("{} ({name})", port.number),
        };
        service.ports.iter().map(shown).collect()
    };
    if reference.port.is_empty() {
        return match &*service.ports {
            [] => Err(DestinationError::NoPort { owner: owner() }),
            [only] => Ok(only),
            ports => ports
                .iter()
                .find(|port| port.name.is_empty())
                .ok_or_else(|| DestinationError::PortNeeded {
                    owner: owner(),
                    known: known(),
                }),
        };
    }
    let number = reference.port_number();
    // A number before a name, as the built-in proxy compares them.
    let by_number = service
        .ports
        .iter()
        .find(|port| Some(port.number) == number);
    by_number
        .or_else(|| {
            service
                .ports
                .iter()
                .find(|port| &*port.name == reference.port)
        })
        .ok_or_else(|| DestinationError::NoSuchPort {
            owner: owner(),
            port: reference.port.to_owned(),
            known: known(),
        })
}
