//! The protocols that are tunnelled: those that are known to be safe.

/// What may be tunnelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::forward) enum Protocol {
    WebSocket,
    /// kubectl's exec, attach and port-forward before WebSockets.
    Spdy,
}

impl Protocol {
    pub(in crate::serve::forward) fn parse(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"websocket") {
            Some(Self::WebSocket)
        } else if token.eq_ignore_ascii_case(b"spdy/3.1") {
            Some(Self::Spdy)
        } else {
            None
        }
    }

    pub(in crate::serve::forward) fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "SPDY/3.1",
        }
    }
}
