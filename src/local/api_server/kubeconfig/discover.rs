//! Finds and reads kubeconfigs. In: `--kubeconfig` and the environment. Out: one [`Kubeconfig`], with every path in it
//! resolved.
//!
//! `--kubeconfig` is the only file then, and must exist. Otherwise the files of `KUBECONFIG`, of which the first that
//! says something wins and missing ones are skipped, or else `~/.kube/config`. A file that is no kubeconfig is refused
//! with the line, never with its content. Of a key that stands there twice the last counts, as for kubectl
//! (sigs.k8s.io/yaml).
//!
//! client-go: `tools/clientcmd/loader.go`.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};

use crate::local::api_server::error::ConfigError;
use crate::local::api_server::{whole_file, yaml};

/// What was read, and from where.
pub(in crate::local::api_server) struct FoundKubeconfig {
    pub(in crate::local::api_server) kubeconfig: Kubeconfig,
    /// The files that were looked for, for people.
    pub(in crate::local::api_server) looked_at: Vec<PathBuf>,
}

/// The environment as far as it names kubeconfigs.
#[derive(Clone)]
pub(in crate::local::api_server) struct KubeconfigPaths {
    /// `KUBECONFIG`
    pub(in crate::local::api_server) listed: Option<OsString>,
    pub(in crate::local::api_server) home: Option<PathBuf>,
}

impl KubeconfigPaths {
    pub(in crate::local::api_server) fn of_environment() -> Self {
        Self {
            listed: std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()),
            home: std::env::home_dir(),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        if let Some(listed) = &self.listed {
            let mut files: Vec<PathBuf> = Vec::new();
            for file in std::env::split_paths(listed) {
                // As client-go: a file that is listed twice is read once.
                if !file.as_os_str().is_empty() && !files.contains(&file) {
                    files.push(file);
                }
            }
            return files;
        }
        let home = self.home.as_ref();
        home.map(|home| home.join(".kube").join("config"))
            .into_iter()
            .collect()
    }
}

/// The files that [`read`] would look at.
pub(in crate::local::api_server) fn files(
    explicit: Option<&Path>,
    paths: &KubeconfigPaths,
) -> Vec<PathBuf> {
    match explicit.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => vec![path.to_owned()],
        None => paths.files(),
    }
}

/// Reads the file that was asked for, or those that the environment names.
pub(in crate::local::api_server) fn read(
    explicit: Option<&Path>,
    paths: &KubeconfigPaths,
) -> Result<FoundKubeconfig, ConfigError> {
    if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(FoundKubeconfig {
            kubeconfig: read_file(path)?,
            looked_at: vec![path.to_owned()],
        });
    }
    let looked_at = paths.files();
    let mut merged = Kubeconfig::default();
    for path in &looked_at {
        let next = match read_file(path) {
            // Only of those that are listed: one that was asked for by name has to be there.
            Err(ConfigError::Unreadable { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                continue;
            }
            other => other?,
        };
        merged = merged.merge(next).map_err(|_| ConfigError::Malformed {
            path: path.clone(),
            line: None,
        })?;
    }
    Ok(FoundKubeconfig {
        kubeconfig: merged,
        looked_at,
    })
}

fn read_file(path: &Path) -> Result<Kubeconfig, ConfigError> {
    let content = whole_file::read_blocking(path).map_err(|cause| ConfigError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    parse(content, path)
}

/// Reads a file's content. `kube`'s own reader of files fails on UTF-16 that ends within a character.
pub(in crate::local::api_server) fn parse(
    content: Vec<u8>,
    path: &Path,
) -> Result<Kubeconfig, ConfigError> {
    let malformed = |line| ConfigError::Malformed {
        path: path.to_owned(),
        line,
    };
    let text = text(content).ok_or_else(|| ConfigError::Unreadable {
        path: path.to_owned(),
        cause: ErrorKind::InvalidData.into(),
    })?;
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|failed| match failed {
        // What the parser says may quote the file, credentials included, so only the place is taken from it.
        KubeconfigError::Parse(cause) => malformed(cause.location().map(|at| at.line())),
        _ => malformed(None),
    });
    let mut kubeconfig = match kubeconfig {
        // Only where the strict reading fails, as it tells the line of what is wrong.
        Err(malformed) => lenient(&text).ok_or(malformed)?,
        Ok(read) => read,
    };
    if let Some(folder) = path.parent() {
        // Before anything is merged, as each file's paths are relative to its own folder.
        resolve_paths(&mut kubeconfig, folder);
    }
    // An empty name says nothing, so that the next file's counts.
    kubeconfig.current_context = kubeconfig.current_context.filter(|name| !name.is_empty());
    Ok(kubeconfig)
}

/// UTF-8, or UTF-16 with its mark, as editors on Windows write it.
fn text(content: Vec<u8>) -> Option<String> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let (pairs, rest) = content[2..].as_chunks();
        let units: Vec<u16> = pairs.iter().copied().map(read).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    match &*content {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(content).ok(),
    }
}

/// The same text with the last of each key that stands there twice, which kube refuses.
fn lenient(text: &str) -> Option<Kubeconfig> {
    let documents: Vec<Kubeconfig> = yaml::with_last_of_each_key(text)?;
    let mut documents = documents.into_iter();
    let first = documents.next()?;
    documents.try_fold(first, Kubeconfig::merge).ok()
}

/// Paths in a kubeconfig are relative to its folder, as `Kubeconfig::read_from` has them; a plugin's only if it has a
/// slash.
fn resolve_paths(kubeconfig: &mut Kubeconfig, folder: &Path) {
    let resolve = |path: &mut Option<String>| {
        let absolute = path.as_ref().map(|path| folder.join(path));
        if let Some(absolute) = absolute.as_deref().and_then(Path::to_str) {
            *path = Some(absolute.to_owned());
        }
    };
    let clusters = kubeconfig.clusters.iter_mut();
    for cluster in clusters.filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    let users = kubeconfig.auth_infos.iter_mut();
    for user in users.filter_map(|named| named.auth_info.as_mut()) {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        if let Some(exec) = &mut user.exec
            // A name alone is looked for in `PATH`.
            && exec.command.as_ref().is_some_and(|it| it.contains('/'))
        {
            resolve(&mut exec.command);
        }
    }
}
