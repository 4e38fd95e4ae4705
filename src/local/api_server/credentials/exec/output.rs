//! What a plugin prints: an `ExecCredential` in JSON or YAML, as client-go decodes it. Out: an [`ExecCredential`], with
//! nothing of the text in errors.
//!
//! Refuses another version than was asked for, output without a credential, and a certificate without its key.
//!
//! <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>

use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::SecretString;
use serde::Deserialize;

use super::credential::ExecCredential;
use crate::local::api_server::credentials::header::bearer;
use crate::local::api_server::error::CredentialError;
use crate::local::api_server::transport::pem::ClientIdentity;
use crate::local::api_server::yaml;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredentialObject {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    status: Option<ExecCredentialStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredentialStatus {
    expiration_timestamp: Option<Time>,
    token: Option<SecretText>,
    client_certificate_data: Option<String>,
    client_key_data: Option<SecretText>,
}

/// A text that goes into a secret at once.
#[derive(Deserialize)]
#[serde(from = "String")]
struct SecretText(SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

/// Reads what the plugin printed.
pub(super) fn read(
    printed: &[u8],
    api_version: &str,
    command: &str,
) -> Result<ExecCredential, CredentialError> {
    let wrong = |what: &'static str| CredentialError::PluginOutput {
        command: command.to_owned(),
        what,
    };
    // JSON first, as plugins are meant to print it; YAML as client-go's decoder takes it too. What a parser says may
    // quote the text, so it is not kept.
    let credential: ExecCredentialObject = serde_json::from_slice(printed)
        .or_else(|_| serde_saphyr::from_slice(printed))
        .ok()
        .or_else(|| {
            let text = std::str::from_utf8(printed).ok()?;
            yaml::with_last_of_each_key(text)?.into_iter().next()
        })
        .ok_or_else(|| wrong("it is no ExecCredential in JSON or YAML"))?;
    if credential.kind != "ExecCredential" {
        return Err(wrong("its kind is not ExecCredential"));
    }
    if credential.api_version != api_version {
        return Err(wrong("its apiVersion is not the kubeconfig's"));
    }
    let status = credential.status.ok_or_else(|| wrong("it has no status"))?;
    let origin = || format!("the plugin {command}");
    let token = status.token.filter(|token| !is_empty(token));
    let certificate = status.client_certificate_data.filter(|pem| !pem.is_empty());
    let key = status.client_key_data.filter(|key| !is_empty(key));
    // A certificate without its key can prove nothing, and a key alone is none to present.
    let identity = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let identity = ClientIdentity::of(certificate.into_bytes(), bytes(&key), origin());
            let identity =
                identity.map_err(|_| wrong("its client certificate or key is no PEM"))?;
            Some(Arc::new(identity))
        }
        _ => return Err(wrong("it has a client certificate or a key, but not both")),
    };
    if token.is_none() && identity.is_none() {
        return Err(wrong("it has neither a token nor a client certificate"));
    }
    Ok(ExecCredential {
        header: token.map(|token| bearer(&token.0, &origin())).transpose()?,
        identity,
        expires: status
            .expiration_timestamp
            .map(|time| SystemTime::from(time.0)),
    })
}

fn is_empty(text: &SecretText) -> bool {
    use secrecy::ExposeSecret;
    text.0.expose_secret().is_empty()
}

fn bytes(text: &SecretText) -> secrecy::SecretSlice<u8> {
    use secrecy::ExposeSecret;
    text.0.expose_secret().as_bytes().to_vec().into()
}
