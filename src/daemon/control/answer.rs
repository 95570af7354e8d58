//! From HTTP to a request and from a result to HTTP: bodies within limits, errors as JSON with the status that fits.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::unix::UCred;
use tokio::time::timeout;

use super::Caller;
use super::office::Office;
use crate::control::problem::{Problem, Refusal};
use crate::error::{Error, Kind, Result};

/// A result as an answer.
pub(super) type Answer<T> = Result<Json<T>, Refused>;

/// An error as an answer.
#[derive(Debug)]
pub(super) struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            Kind::Failed | Kind::Consequence | Kind::Degraded | Kind::Vetoed => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Usage => StatusCode::BAD_REQUEST,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::TryAgain | Kind::Interrupted => StatusCode::CONFLICT,
            Kind::NotPermitted => StatusCode::FORBIDDEN,
            Kind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        };
        (status, Json(Refusal { error: Problem::from(&self.0) })).into_response()
    }
}

/// What a caller over the limits gets, whatever they ask.
pub(super) async fn overloaded() -> Response {
    let error = Error::new(Kind::TryAgain, "the daemon has too many callers").hint("close other connections, or wait");
    (StatusCode::TOO_MANY_REQUESTS, Refused(error)).into_response()
}

/// `value` as JSON.
pub(super) fn json<T: Serialize>(value: T) -> Answer<T> {
    Ok(Json(value))
}

/// The body of a request, as JSON. No body at all is an empty object.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Office> for Asked<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, office: &Office) -> Result<Self, Refused> {
        let usage = |what: String| Refused(Error::new(Kind::Usage, what));
        let limits = &office.limits;
        let body = timeout(limits.patience, to_bytes(request.into_body(), limits.body)).await;
        let Ok(read) = body else {
            return Err(usage(format!("the body of the request took longer than {} s", limits.patience.as_secs())));
        };
        let bytes = read.map_err(|e| {
            Refused(
                Error::new(Kind::Usage, "cannot read the body of the request")
                    .because(e)
                    .hint(format!("it may have {} bytes", limits.body)),
            )
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|e| Refused(Error::new(Kind::Usage, "the body of the request is not what is expected").because(e)))
    }
}

impl FromRequestParts<Office> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, office: &Office) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<UCred>().copied();
        let peer = peer.ok_or_else(|| Error::new(Kind::NotPermitted, "the caller is not known"))?;
        let plan = office.desk.plan();
        let look_up = tokio::task::spawn_blocking(move || Self::look_up(&peer, plan));
        match timeout(office.limits.patience, look_up).await {
            Ok(Ok(caller)) => Ok(caller),
            _ => Err(Refused(
                Error::new(Kind::Unavailable, format!("cannot find out the groups of uid {}", peer.uid()))
                    .hint("`id` run as that user shows whether the directory of users answers"),
            )),
        }
    }
}

/// Gives what the HTTP library refuses by itself the same form as all other errors.
pub(super) async fn as_json(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static("application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (kind, text) = match status {
        StatusCode::NOT_FOUND => (Kind::Usage, "there is no such path".to_owned()),
        StatusCode::METHOD_NOT_ALLOWED => (Kind::Usage, "the path has another method".to_owned()),
        other => {
            (Kind::Usage, format!("the request makes no sense: {}", other.canonical_reason().unwrap_or("refused")))
        }
    };
    let error = Error::new(kind, text).hint("docs/control-api.md has the requests");
    let (mut parts, _) = response.into_parts();
    let (json, body) = Refused(error).into_response().into_parts();
    for key in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(&key);
        parts.headers.extend(json.headers.get(&key).cloned().map(|value| (key, value)));
    }
    Response::from_parts(parts, body)
}
