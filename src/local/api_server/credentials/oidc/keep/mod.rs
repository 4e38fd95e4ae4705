//! Puts refreshed tokens into the kubeconfig. In: its files, old tokens and new ones. Out: the file that has the old
//! ones, with the new ones.
//!
//! Nothing else in the file changes. It is replaced as a whole, under the lock file that kubectl uses, or not at all:
//! what was written is read as a kubeconfig first. What does not work is a warning, as an old refresh token may be used
//! up; the tokens are in force anyway.
//!
//! client-go: `PersisterForUser` and `lockFile` in `tools/clientcmd`.

mod rewrite;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::fs;
use tokio::io::AsyncWriteExt;

use crate::local::temporary_file::TemporaryFile;

/// How often a lock is asked for that somebody else has, and how long after each time.
const LOCK_TRIES: usize = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Replaces old tokens by new ones in the files that have them.
pub(super) async fn replace(files: &[PathBuf], changes: &[(SecretString, SecretString)]) {
    let mut left: Vec<_> = changes.iter().collect();
    for file in files {
        if left.is_empty() {
            return;
        }
        match replace_in(file, &left).await {
            Ok(missing) => left = missing,
            Err(failed) => {
                let file = file.display();
                tracing::warn!(error = %failed, %file, "the kubeconfig can't be written");
            }
        }
    }
    if !left.is_empty() {
        tracing::warn!(
            "refreshed tokens can't be kept in the kubeconfig; log in anew with kubectl once this program has ended"
        );
    }
}

/// Replaces what is found in a file, and returns what is not.
async fn replace_in<'c>(
    file: &Path,
    changes: &[&'c TokenChange],
) -> io::Result<Vec<&'c TokenChange>> {
    // A link stays one.
    let Ok(file) = fs::canonicalize(file).await else {
        return Ok(changes.to_vec());
    };
    // Looked at without the lock first: most files have none of the tokens, and are not to be locked for nothing.
    let (_, missing) = rewrite::tokens(&fs::read_to_string(&file).await?, changes);
    if missing.len() == changes.len() {
        return Ok(missing);
    }
    let _lock = Lock::take(beside(&file, ".lock")).await?;
    // It may have changed until the lock was there.
    let (text, missing) = rewrite::tokens(&fs::read_to_string(&file).await?, changes);
    write(&file, &text).await?;
    Ok(missing)
}

type TokenChange = (SecretString, SecretString);

async fn write(file: &Path, text: &SecretString) -> io::Result<()> {
    let rights = fs::metadata(file).await?.permissions();
    let mut number = [0; 8];
    aws_lc_rs::rand::fill(&mut number).map_err(io::Error::other)?;
    let number = u64::from_ne_bytes(number);
    // Removed by being dropped, whatever fails below; after the rename it has another name.
    let draft = TemporaryFile(beside(file, &format!(".throughway-{number:016x}")));
    let mut options = fs::OpenOptions::new();
    // For its user alone from the first moment: the right to read is set before there is anything to read.
    options.write(true).create_new(true).mode(0o600);
    let mut opened = options.open(&draft.0).await?;
    opened.write_all(text.expose_secret().as_bytes()).await?;
    // On the disk before it takes the place of the old one: a crash in between must not leave an empty kubeconfig.
    opened.sync_all().await?;
    fs::set_permissions(&draft.0, rights).await?;
    // In one step, so that kubectl reads the old file or the new one and never a half.
    fs::rename(&draft.0, file).await
}

/// kubectl's lock on a kubeconfig, until this is dropped.
struct Lock {
    _file: TemporaryFile,
}

impl Lock {
    async fn take(path: PathBuf) -> io::Result<Self> {
        let mut tries = 1;
        loop {
            let mut options = fs::OpenOptions::new();
            match options.write(true).create_new(true).open(&path).await {
                Ok(_) => {
                    return Ok(Self {
                        _file: TemporaryFile(path),
                    });
                }
                Err(taken)
                    // kubectl may hold it for a moment; a lock that stays for longer was left behind, and is nobody's
                    // to break here.
                    if taken.kind() == io::ErrorKind::AlreadyExists && tries < LOCK_TRIES =>
                {
                    tries += 1;
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(failed) => return Err(failed),
            }
        }
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
