//! placeholder
use crate::config::StaticFiles;
use crate::status::Response;
pub(super) async fn serve(_: &StaticFiles, _: &http::request::Parts) -> Response {
    super::plain::not_found()
}
