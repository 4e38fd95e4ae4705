//! The plugin's process. In: the kubeconfig's `exec` and cluster. Out: what the plugin gave, or why it gave nothing.
//!
//! What the plugin writes on standard error is passed on as it comes, as it may ask the person to do something; its
//! last line goes into the error if the plugin fails. What it writes on standard output is a credential and goes
//! nowhere else. The plugin is done when its process has ended: a browser or an agent that it started may hold both
//! open for as long as it runs.

use std::io::{ErrorKind, IsTerminal, Write};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::credential::ExecCredential;
use super::output;
use crate::lifecycle::Tasks;
use crate::local::api_server::credentials::context::CredentialContext;
use crate::local::api_server::error::{ConfigError, CredentialError};

/// How long a plugin may take. Those that open a browser or show a code wait for a person; issuers give a code half an
/// hour at most.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(1800);
/// How long what a plugin wrote before its end may take to arrive.
const PIPE_TIMEOUT: Duration = Duration::from_millis(100);
/// The most that is read of its output.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// The most that is shown of a plugin's last line.
const MAX_LINE_CHARS: usize = 300;

const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// How a plugin is started.
pub(in crate::local::api_server) struct Program {
    command: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    api_version: String,
    interactive: ExecInteractiveMode,
    install_hint: Option<String>,
    cluster: Option<ExecAuthCluster>,
}

impl Program {
    pub(in crate::local::api_server) fn of(
        config: ExecConfig,
        context: &CredentialContext<'_>,
    ) -> Result<Self, ConfigError> {
        let cluster = context.cluster;
        let wrong = |what: &'static str| ConfigError::Plugin { what };
        let command = config.command.filter(|command| !command.is_empty());
        let api_version = config.api_version.unwrap_or_default();
        if !VERSIONS.contains(&api_version.as_str()) {
            return Err(wrong(
                "its apiVersion is neither client.authentication.k8s.io/v1 nor v1beta1",
            ));
        }
        let interactive = match config.interactive_mode {
            Some(mode) => mode,
            // v1 has no default for it, and v1beta1 has this one (client-go's `SetDefaults_ExecConfig`).
            None if api_version == VERSIONS[0] => return Err(wrong("it has no interactiveMode")),
            None => ExecInteractiveMode::IfAvailable,
        };
        let command = command.ok_or_else(|| wrong("it has no command"))?;
        let exec_info = config.provide_cluster_info.then(|| cluster.try_into());
        let variables = config.env.unwrap_or_default().into_iter();
        Ok(Self {
            command,
            arguments: config.args.unwrap_or_default(),
            variables: variables
                .filter_map(|mut pair| Some((pair.remove("name")?, pair.remove("value")?)))
                .collect(),
            api_version,
            interactive,
            install_hint: config.install_hint.map(|hint| printable(&hint)),
            cluster: exec_info.transpose().map_err(|_| {
                wrong("it is to be told the certificate authority, which can't be read")
            })?,
        })
    }

    /// Runs the plugin to its end.
    pub(super) async fn run(&self, tasks: &Tasks) -> Result<ExecCredential, CredentialError> {
        let command = || self.command.clone();
        let child = self.start()?;
        // When the time is over the child is dropped, which kills it.
        let Ok(ended) = timeout(PLUGIN_TIMEOUT, wait(child, tasks)).await else {
            return Err(CredentialError::PluginTimeout {
                command: command(),
                limit: PLUGIN_TIMEOUT,
            });
        };
        let (status, printed, last_line) =
            ended.map_err(|failed| CredentialError::PluginUnstartable {
                command: command(),
                reason: failed.kind(),
            })?;
        // Before the output is read: what a plugin printed before it failed is no credential.
        if !status.success() {
            return Err(CredentialError::PluginFailed {
                command: command(),
                status: status.to_string(),
                last_line,
            });
        }
        output::read(&printed, &self.api_version, &self.command)
    }

    fn start(&self) -> Result<Child, CredentialError> {
        let is_terminal = std::io::stdin().is_terminal();
        let is_interactive = match self.interactive {
            ExecInteractiveMode::Never => false,
            ExecInteractiveMode::IfAvailable => is_terminal,
            ExecInteractiveMode::Always if is_terminal => true,
            ExecInteractiveMode::Always => {
                return Err(CredentialError::PluginNeedsTerminal {
                    command: self.command.clone(),
                });
            }
        };
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", self.exec_info(is_interactive))
            // A plugin that may not ask must not hang on a terminal that happens to be there.
            .stdin(if is_interactive {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A companion that ends takes its plugins with it.
            .kill_on_drop(true);
        command.spawn().map_err(|failed| match failed.kind() {
            ErrorKind::NotFound => CredentialError::PluginMissing {
                command: self.command.clone(),
                install_hint: self.install_hint.clone(),
            },
            reason => CredentialError::PluginUnstartable {
                command: self.command.clone(),
                reason,
            },
        })
    }

    /// What the plugin is told: `KUBERNETES_EXEC_INFO`.
    fn exec_info(&self, is_interactive: bool) -> String {
        let mut spec = json!({ "interactive": is_interactive });
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = json!(cluster);
        }
        json!({
            "kind": "ExecCredential",
            "apiVersion": self.api_version,
            "spec": spec,
        })
        .to_string()
    }
}

async fn wait(
    mut child: Child,
    tasks: &Tasks,
) -> std::io::Result<(ExitStatus, Vec<u8>, Option<String>)> {
    let tail: Tail = Arc::default();
    let (passing, passed) = oneshot::channel::<()>();
    if let Some(stderr) = child.stderr.take() {
        // To its own end: whoever writes to a pipe that nobody reads is killed.
        let tail = Arc::clone(&tail);
        tasks.spawn_background(async move {
            pass_on(stderr, &tail).await;
            drop(passing);
        });
    }
    let mut printed = Vec::new();
    let status = {
        let mut reading = pin!(everything(child.stdout.take(), &mut printed));
        // The end of the process counts and not that of its pipes: an agent that it started may hold them open for
        // hours.
        tokio::select! {
            status = child.wait() => {
                // What was written just before the end may not have been read yet.
                timeout(PIPE_TIMEOUT, reading).await.unwrap_or(Ok(()))?;
                status?
            }
            read = &mut reading => {
                read?;
                child.wait().await?
            }
        }
    };
    // The last line may still be on its way to the tail.
    let _ = timeout(PIPE_TIMEOUT, passed).await;
    Ok((status, printed, last_line(&tail)))
}

/// The end of what a plugin wrote on standard error.
type Tail = Arc<Mutex<Vec<u8>>>;

async fn everything(
    stdout: Option<impl AsyncRead + Unpin>,
    printed: &mut Vec<u8>,
) -> std::io::Result<()> {
    if let Some(stdout) = stdout {
        // Bounded, as a plugin that prints without end would fill the memory.
        stdout.take(MAX_OUTPUT_BYTES).read_to_end(printed).await?;
    }
    Ok(())
}

/// Passes standard error on and keeps its end.
async fn pass_on(mut stderr: impl AsyncRead + Unpin, tail: &Tail) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend_from_slice(&piece[..length]);
            // Only the end is kept, for the one line that an error shows.
            let before = tail.len().saturating_sub(piece.len());
            tail.drain(..before);
        }
        // Standard error that is closed is nobody's problem.
        let _ = std::io::stderr().write_all(&piece[..length]);
    }
}

/// The last line that says something.
fn last_line(tail: &Tail) -> Option<String> {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&tail);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(printable(line.trim()))
}

/// The text without control characters, which could lead a terminal astray, and not longer than a person reads.
fn printable(text: &str) -> String {
    let shown = text.chars().filter(|letter| !letter.is_control());
    shown.take(MAX_LINE_CHARS).collect()
}
