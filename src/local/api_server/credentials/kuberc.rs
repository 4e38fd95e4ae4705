//! Which plugins may be run, as kubectl's preferences say it. In: `~/.kube/kuberc`. Out: nothing, or a refusal.
//!
//! A kubeconfig names a program, and may come from somebody who is not to run one here. What says nothing about plugins
//! allows all of them, as for kubectl; what can't be read or understood allows none. `KUBERC` names another file;
//! `KUBERC=off` and `KUBECTL_KUBERC=false` turn it off.
//!
//! <https://kubernetes.io/docs/reference/config-api/kuberc.v1beta1>

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::local::api_server::error::ConfigError;
use crate::local::api_server::whole_file;

/// Where kubectl's preferences are.
#[derive(Clone)]
pub(in crate::local::api_server) enum Kuberc {
    Off,
    /// `~/.kube/kuberc`, which need not be there.
    Usual(PathBuf),
    /// `KUBERC`, which has to be there.
    Named(PathBuf),
}

/// What is read of the preferences.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    credential_plugin_policy: String,
    #[serde(default)]
    credential_plugin_allowlist: Vec<KubercEntry>,
}

#[derive(Deserialize)]
struct KubercEntry {
    /// A path, or a name that is looked for in `PATH`; Kubernetes 1.35 calls the field `name`.
    #[serde(alias = "name")]
    command: String,
}

impl Kuberc {
    pub(in crate::local::api_server) fn of_environment() -> Self {
        let is_off = |name: &str, word: &str| env::var(name).is_ok_and(|value| value == word);
        if is_off("KUBERC", "off") || is_off("KUBECTL_KUBERC", "false") {
            return Self::Off;
        }
        if let Some(named) = env::var_os("KUBERC").filter(|path| !path.is_empty()) {
            return Self::Named(named.into());
        }
        env::home_dir().map_or(Self::Off, |home| Self::Usual(home.join(".kube/kuberc")))
    }

    /// Refuses a plugin that may not be run.
    pub(in crate::local::api_server) async fn check(
        &self,
        command: &str,
    ) -> Result<(), ConfigError> {
        let (Self::Usual(path) | Self::Named(path)) = self else {
            return Ok(());
        };
        let wrong = |what: &'static str| ConfigError::Kuberc {
            path: path.clone(),
            what,
        };
        let text = match (whole_file::read_text(path).await, self) {
            (Ok(text), _) => text,
            // Only the usual file may be missing; one that is named has to be there.
            (Err(failed), Self::Usual(_)) if failed.kind() == ErrorKind::NotFound => return Ok(()),
            (Err(_), _) => return Err(wrong("it can't be read")),
        };
        let documents: Vec<Preference> =
            serde_saphyr::from_multiple(&text).map_err(|_| wrong("it is malformed"))?;
        let mut preferences = documents.into_iter();
        // Refused and not passed over: a file that says nothing may be the wrong one.
        let Some(preference) = preferences.find(|document| document.kind == "Preference") else {
            return Err(wrong("it has no Preference"));
        };
        let listed = preference.credential_plugin_allowlist;
        match preference.credential_plugin_policy.as_str() {
            "" | "AllowAll" if listed.is_empty() => Ok(()),
            "Allowlist" if listed.iter().any(|entry| is_of(&entry.command, command)) => Ok(()),
            "Allowlist" | "DenyAll" => Err(ConfigError::PluginNotAllowed {
                command: command.to_owned(),
                path: path.clone(),
            }),
            "" | "AllowAll" => Err(wrong(
                "its list of plugins is for the policy Allowlist alone",
            )),
            _ => Err(wrong("its credentialPluginPolicy is none")),
        }
    }
}

/// Whether a plugin is the one that is listed.
fn is_of(listed: &str, command: &str) -> bool {
    // By where they are found, as a name alone could be another program in another folder.
    match (resolved(listed), resolved(command)) {
        (Some(listed), Some(found)) => listed == found,
        _ => !listed.is_empty() && listed == command,
    }
}

/// The path of a program, as it is found when it is run.
fn resolved(command: &str) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(command.into());
    }
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths)
        .map(|folder| folder.join(command))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a plugin is allowed by preferences.
    async fn outcome(preferences: &str, command: &str) -> Result<(), String> {
        let name = format!("throughway-kuberc-{}", std::process::id());
        let path = env::temp_dir().join(name);
        std::fs::write(&path, preferences).unwrap();
        let checked = Kuberc::Usual(path.clone()).check(command).await;
        std::fs::remove_file(&path).unwrap();
        checked.map_err(|refused| refused.to_string())
    }

    #[tokio::test]
    async fn plugins_are_allowed_as_kubectl_allows_them() {
        const HEAD: &str = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";
        let list = "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: /opt/login}, {command: sh}]\n";
        let sh = resolved("sh").unwrap();
        let sh = sh.to_str().unwrap();
        for (more, command, is_allowed) in [
            ("", "login", true),
            ("aliases: []\n", "login", true),
            ("credentialPluginPolicy: AllowAll\n", "login", true),
            ("credentialPluginPolicy: DenyAll\n", "login", false),
            ("credentialPluginPolicy: denyall\n", "login", false),
            ("credentialPluginPolicy: Allowlist\n", "login", false),
            (
                "credentialPluginAllowlist: [{name: login}]\n",
                "login",
                false,
            ),
            (list, "/opt/login", true),
            (list, "/tmp/login", false),
            (list, "login", false),
            (list, "sh", true),
            (list, sh, true),
            (list, "/tmp/sh", false),
            ("credentialPluginPolicy: [", "login", false),
        ] {
            let allowed = outcome(&format!("{HEAD}{more}"), command).await;
            assert_eq!(allowed.is_ok(), is_allowed, "{more} {command}: {allowed:?}");
        }
        assert!(outcome("kind: Other\n", "login").await.is_err());
    }

    #[tokio::test]
    async fn only_the_usual_file_may_be_missing() {
        let nowhere = PathBuf::from("/nonexistent/kuberc");
        assert!(Kuberc::Off.check("login").await.is_ok());
        assert!(Kuberc::Usual(nowhere.clone()).check("login").await.is_ok());
        assert!(Kuberc::Named(nowhere).check("login").await.is_err());
    }
}
