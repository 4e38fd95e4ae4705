//! `/version`, in the form of apimachinery's `version.Info`.

use serde_json::{Value, json};

pub(super) fn version() -> Value {
    let mut parts = env!("CARGO_PKG_VERSION").split('.');
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "gitVersion": concat!("v", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
