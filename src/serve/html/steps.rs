//! How much of a page is rewritten and handed out in one go.

use super::links::Links;

/// What is written in one go, a tag or a text of JSON, may grow by this much through its links; what would grow by more
/// keeps the rest of its links as they are.
pub(super) const MAX_GROWTH: usize = 256 * 1024;

/// About as much comes of a page before it is handed out.
pub(super) const HANDED_OUT: usize = 64 * 1024;

/// The most of a page that is rewritten in one go, if its links grow by no more than a few bytes.
pub(super) const PIECE: usize = 16 * 1024;

/// How much of a page is rewritten in one go, so that no more than [`HANDED_OUT`] comes of it even if it is nothing but
/// links.
pub(super) fn step(links: &Links) -> usize {
    const SHORTEST_LINK: usize = "url(/)".len();
    let written = SHORTEST_LINK + links.growth();
    // Between a floor and a ceiling, so that even a page of nothing but links is rewritten in useful pieces.
    (HANDED_OUT / written * SHORTEST_LINK).clamp(PIECE / 64, PIECE)
}
