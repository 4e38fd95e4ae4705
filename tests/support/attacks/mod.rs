//! What strangers, a user and that user's backends do to one replica at their worst, as docs/security.md lists it.
//!
//! In: a [`Replica`], a process of its own in front of an embedded cluster. Out: an attack in full swing, which is over
//! when what [`Attack::launch`] returns is dropped. Each is bounded in count and in time. What it costs is in [`cost`].

pub mod bodies;
pub mod connections;
pub mod cost;
pub mod http2;
pub mod replica;
pub mod scene;
pub mod streams;
pub mod through;

use std::any::Any;

pub use replica::Replica;

use bodies::Coding;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Half a head on each of many connections.
    UnfinishedHeads,
    /// Handshakes that are begun and not gone on with.
    HalfHandshakes,
    /// Connections on which nothing is asked.
    IdleConnections,
    /// Tokens that nobody knows.
    UnknownTokens,
    /// Requests with as many bytes of headers as may be, to a backend that never answers.
    BigHeaders,
    /// Uploads to a backend that never reads, over a connection each.
    StalledUploads,
    /// The same over HTTP/2.
    StalledUploadsHttp2,
    /// Downloads that the caller does not read, over HTTP/2.
    StalledDownloads,
    /// Pages of a coding that the caller does not read.
    Pages(Coding),
    /// WebSockets into which both sides write and of which neither reads.
    Tunnels,
}

/// What an attack has open.
#[derive(Debug)]
pub struct Held {
    /// How many requests, or connections where nothing is asked on them, there were.
    pub requests: usize,
    /// Ends with this.
    _open: Box<dyn Any + Send>,
}

impl Held {
    fn new(requests: usize, open: impl Any + Send) -> Self {
        Self {
            requests,
            _open: Box::new(open),
        }
    }
}

impl Attack {
    /// All of them. Pages come in every coding.
    pub const ALL: [Self; 14] = [
        Self::UnfinishedHeads,
        Self::HalfHandshakes,
        Self::IdleConnections,
        Self::UnknownTokens,
        Self::BigHeaders,
        Self::StalledUploads,
        Self::StalledUploadsHttp2,
        Self::StalledDownloads,
        Self::Pages(Coding::Plain),
        Self::Pages(Coding::Gzip),
        Self::Pages(Coding::Deflate),
        Self::Pages(Coding::Brotli),
        Self::Pages(Coding::Zstd),
        Self::Tunnels,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::UnfinishedHeads => "unfinished heads",
            Self::HalfHandshakes => "half handshakes",
            Self::IdleConnections => "idle connections",
            Self::UnknownTokens => "unknown tokens",
            Self::BigHeaders => "big headers",
            Self::StalledUploads => "stalled uploads",
            Self::StalledUploadsHttp2 => "stalled uploads over HTTP/2",
            Self::StalledDownloads => "stalled downloads over HTTP/2",
            Self::Pages(Coding::Plain) => "plain pages",
            Self::Pages(Coding::Gzip) => "pages in gzip",
            Self::Pages(Coding::Deflate) => "pages in deflate",
            Self::Pages(Coding::Brotli) => "pages in brotli",
            Self::Pages(Coding::Zstd) => "pages in zstd",
            Self::Tunnels => "tunnels that nobody reads",
        }
    }

    /// Lets it begin; most go on by themselves for some moments until nothing moves any more.
    pub async fn launch(self, replica: &Replica) -> Held {
        match self {
            Self::UnfinishedHeads => connections::unfinished_heads(replica, 700).await,
            Self::HalfHandshakes => connections::half_handshakes(replica, 140).await,
            Self::IdleConnections => connections::idle(replica, 0, 900).await,
            Self::UnknownTokens => streams::unknown_tokens(replica, 2_000).await,
            Self::BigHeaders => streams::big_headers(replica).await,
            Self::StalledUploads => connections::stalled_uploads(replica, 250).await,
            Self::StalledUploadsHttp2 => streams::stalled_uploads(replica).await,
            Self::StalledDownloads => streams::downloads(replica).await,
            Self::Pages(coding) => streams::pages(replica, coding).await,
            Self::Tunnels => connections::tunnels(replica, 900).await,
        }
    }
}
