//! The `Date` of responses, written once a second for each thread: it is the same for thousands of them.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

thread_local! {
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Now, as RFC 9110 section 5.6.7 has it.
pub(super) fn now() -> HeaderValue {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let second = since_epoch.unwrap_or(Duration::ZERO).as_secs();
    LAST.with_borrow_mut(|last| match last {
        // Each thread has its own copy, so no lock is needed for a value that all responses have.
        Some((of, date)) if *of == second => date.clone(),
        _ => {
            let date = written(second);
            *last = Some((second, date.clone()));
            date
        }
    })
}

fn written(second: u64) -> HeaderValue {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let text = httpdate::fmt_http_date(time);
    HeaderValue::try_from(text).expect("a date is header text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second() {
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(now(), now());
    }
}
