//! Puts refreshed tokens into the kubeconfig. In: its files, old tokens and new ones. Out: the file that has the old ones, with the new ones.
//!
//! Nothing else in the file changes, and it is replaced as a whole, under the lock file that kubectl uses. Tokens that are short, or that YAML
//! would have to quote, are left alone. What does not work is logged: the tokens are in force anyway.
//!
//! client-go: `PersisterForUser` and `lockFile` in `tools/clientcmd`.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// A shorter text could be in the file for another reason.
const LEAST_TOKEN: usize = 12;

/// Replaces old tokens by new ones in the first file that has one of them.
pub(super) async fn replace(files: &[PathBuf], changes: &[(SecretString, SecretString)]) {
    let all = changes.iter().flat_map(|(old, new)| [old, new]);
    if changes.is_empty() || !all.into_iter().all(is_plain) {
        return;
    }
    for file in files {
        match replace_in(file, changes).await {
            Ok(Kept::Here) => return,
            Ok(Kept::Elsewhere) => {}
            Err(failed) => {
                let file = file.display();
                tracing::warn!(error = %failed, %file, "refreshed tokens can't be kept in the kubeconfig");
            }
        }
    }
}

enum Kept {
    Here,
    Elsewhere,
}

async fn replace_in(file: &Path, changes: &[(SecretString, SecretString)]) -> io::Result<Kept> {
    // A link stays one.
    let Ok(file) = fs::canonicalize(file).await else {
        return Ok(Kept::Elsewhere);
    };
    if changed(&fs::read_to_string(&file).await?, changes).is_none() {
        return Ok(Kept::Elsewhere);
    }
    let lock = beside(&file, ".lock");
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).open(&lock).await?;
    let written = write(&file, changes).await;
    fs::remove_file(&lock).await?;
    written.map(|()| Kept::Here)
}

async fn write(file: &Path, changes: &[(SecretString, SecretString)]) -> io::Result<()> {
    let Some(text) = changed(&fs::read_to_string(file).await?, changes) else {
        return Ok(());
    };
    let rights = fs::metadata(file).await?.permissions();
    let draft = beside(file, ".throughway");
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut opened = options.open(&draft).await?;
    let written = async {
        opened.write_all(text.expose_secret().as_bytes()).await?;
        opened.sync_all().await?;
        fs::set_permissions(&draft, rights).await?;
        fs::rename(&draft, file).await
    };
    let written = written.await;
    if written.is_err() {
        fs::remove_file(&draft).await.ok();
    }
    written
}

fn changed(text: &str, changes: &[(SecretString, SecretString)]) -> Option<SecretString> {
    let mut now = text.to_owned();
    for (old, new) in changes {
        now = now.replace(old.expose_secret(), new.expose_secret());
    }
    (now != text).then(|| SecretString::from(now))
}

fn is_plain(token: &SecretString) -> bool {
    let token = token.expose_secret();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    // At its ends YAML gives some of these a meaning.
    let ends = [token.bytes().next(), token.bytes().last()];
    let has_plain_ends = ends
        .into_iter()
        .flatten()
        .all(|byte| byte.is_ascii_alphanumeric());
    let is_number = token
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    token.len() >= LEAST_TOKEN && token.bytes().all(is_plain) && has_plain_ends && !is_number
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
