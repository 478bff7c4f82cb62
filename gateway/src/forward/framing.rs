//! Messages whose end is uncertain: RFC 9112, section 6.
//!
//! hyper decodes `chunked` and nothing else, and with `Transfer-Encoding` it ignores
//! `Content-Length`. Forwarded as they are, a wrong length would cut the content off at it, and
//! another coding would reach the caller as content without its name.

use std::{error::Error, fmt};

use axum::http::{HeaderMap, Method, Response, StatusCode, header};

/// A response that can't be forwarded whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum InvalidFraming {
    /// `Content-Length` and `Transfer-Encoding`.
    LengthAndCoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// 101 in response to a request, which never has `Upgrade`.
    UnaskedUpgrade,
}

impl fmt::Display for InvalidFraming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthAndCoding => "response with both Content-Length and Transfer-Encoding",
            Self::UnknownCoding => "response in a transfer coding other than chunked",
            Self::UnaskedUpgrade => "response switches protocols unasked",
        })
    }
}

impl Error for InvalidFraming {}

/// Refuses a response to a request with `method` whose content could be cut off or misread.
pub(super) fn check_response<B>(
    method: &Method,
    response: &Response<B>,
) -> Result<(), InvalidFraming> {
    let (status, headers) = (response.status(), response.headers());
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(InvalidFraming::UnaskedUpgrade);
    }
    let has_no_content = *method == Method::HEAD
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if has_no_content || !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err(InvalidFraming::LengthAndCoding);
    }
    if is_chunked_only(headers) { Ok(()) } else { Err(InvalidFraming::UnknownCoding) }
}

/// Whether the content of a request comes in no transfer coding but `chunked`.
pub(super) fn is_request_coding_known(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::TRANSFER_ENCODING) || is_chunked_only(headers)
}

fn is_chunked_only(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let only = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|coding| only(coding.as_bytes())) && codings.next().is_none()
}
