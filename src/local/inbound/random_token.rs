//! Random tokens. Out: 256 random bits as hexadecimal text, for names and secrets that nobody can guess.

use std::fmt::Write as _;

/// The system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random numbers")]
pub struct NoRandomness;

/// 256 bits as hexadecimal text.
pub(in crate::local) fn random_token() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
