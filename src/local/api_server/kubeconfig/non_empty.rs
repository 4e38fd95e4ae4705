//! Values of a kubeconfig and of flags. An empty text says nothing, as for client-go.

use secrecy::{ExposeSecret, SecretString};

pub(super) fn text(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.is_empty()).cloned()
}

pub(super) fn secret(value: Option<&SecretString>) -> Option<&SecretString> {
    value.filter(|secret| !secret.expose_secret().is_empty())
}
