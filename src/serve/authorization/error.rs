//! Why a caller may not, and what they are told of it.

use std::sync::Arc;

use crate::protocol::status::{Status, Subject};
use crate::serve::authentication::ReviewError;
use crate::serve::refusal::Refuse;

/// Why there is no [`super::Permit`].
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {
    #[error("{message}")]
    Forbidden {
        message: String,
        subject: Option<Subject>,
    },
    #[error("it could not be found out whether this is allowed")]
    Review(#[source] Arc<ReviewError>),
    #[error("too many reviews at once, try again later")]
    Crowded,
    #[error("the authorizer said both yes and no")]
    Contradiction,
}

impl Refuse for AuthorizationError {
    fn status(&self) -> Status {
        match self {
            Self::Forbidden { message, subject } => {
                let status = Status::forbidden(message.clone());
                Status {
                    subject: subject.clone(),
                    ..status
                }
            }
            Self::Crowded => Status::too_many_requests(self.to_string()),
            Self::Review(_) | Self::Contradiction => Status::internal(self.to_string()),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::Review(_) => "access_review",
            Self::Crowded => "crowded_reviews",
            Self::Contradiction => "contradiction",
        }
    }
}
