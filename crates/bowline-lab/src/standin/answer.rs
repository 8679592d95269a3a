//! What the stand-in answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::serve::{Manner, Shared};

/// Between two events of a watch.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);
/// Events made before the client has read the last: a watch waits for its reader.
const EVENTS_AHEAD: usize = 1;
/// A lease is a few hundred bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Leases kept by one server; tests use a handful.
const LEASES_MAX: usize = 1024;

/// A stored lease.
#[derive(Debug)]
pub(super) struct Lease {
    resource_version: u64,
    object: Value,
}

/// A whole answer, or the events of a watch.
pub(super) enum AnswerBody {
    Whole(Full<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Events(events) => {
                events.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Events(_) => false,
        }
    }
}

/// Answers one request, or, while the server is told to hang, none.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let mut current = shared.mode.clone();
    // An error says that the server has ended; then this answer reaches nobody.
    let mode = current.wait_for(|mode| mode.manner != Manner::Silent).await.map(|mode| *mode);
    let mode = mode.unwrap_or_else(|_| *shared.mode.borrow());
    let is_ready = mode.ready && mode.live && !mode.stopping;
    let path = request.uri().path().to_owned();
    let mut response = if !mode.authorized {
        status(StatusCode::UNAUTHORIZED, "Unauthorized")
    } else if mode.overloaded {
        status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")
    } else {
        match (request.method(), path.as_str()) {
            (&Method::GET, "/readyz") => health("readyz", is_ready),
            (&Method::GET, "/livez") => health("livez", mode.live),
            (&Method::GET, "/version") => version(&shared.name),
            (&Method::GET, "/api/v1/pods") if asks_to_watch(&request) => watch(&shared, &request),
            (_, path) => match lease_key(path) {
                Some(key) => lease(&shared, key.to_owned(), request).await,
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            },
        }
    };
    if let Ok(name) = header::HeaderValue::from_str(&shared.name) {
        response.headers_mut().insert(header::SERVER, name);
    }
    Ok(response)
}

fn whole(code: StatusCode, kind: &'static str, text: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(Full::new(Bytes::from(text))));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn json_answer(code: StatusCode, value: &Value) -> Response<AnswerBody> {
    whole(code, "application/json", value.to_string())
}

/// A Kubernetes `Status` object.
fn status(code: StatusCode, reason: &str) -> Response<AnswerBody> {
    json_answer(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16()}),
    )
}

fn health(check: &str, is_good: bool) -> Response<AnswerBody> {
    if is_good {
        whole(StatusCode::OK, "text/plain", "ok".to_owned())
    } else {
        let text = format!("[+]ping ok\n[-]stand-in failed: told to fail\n{check} check failed\n");
        whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
    }
}

fn version(name: &str) -> Response<AnswerBody> {
    let value = json!({"major": "1", "minor": "32", "gitVersion": format!("v1.32.0+{name}"), "platform": "linux/amd64"});
    json_answer(StatusCode::OK, &value)
}

fn has_parameter(request: &Request<Incoming>, wanted: &[&str]) -> bool {
    request.uri().query().unwrap_or_default().split('&').any(|parameter| wanted.contains(&parameter))
}

fn asks_to_watch(request: &Request<Incoming>) -> bool {
    has_parameter(request, &["watch=1", "watch=true"])
}

fn watch(shared: &Shared, request: &Request<Incoming>) -> Response<AnswerBody> {
    let is_silent = has_parameter(request, &["events=0"]);
    let (events, received) = mpsc::channel(EVENTS_AHEAD);
    let mut mode = shared.mode.clone();
    let grace = shared.grace;
    let stopped = async move {
        if mode.wait_for(|mode| mode.stopping).await.is_ok() {
            tokio::time::sleep(grace).await;
        }
    };
    let mode = shared.mode.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stopped => {}
            () = events.closed() => {}
            () = send_events(&events, mode), if !is_silent => {}
        }
    });
    let mut response = Response::new(AnswerBody::Events(received));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

async fn send_events(
    events: &mpsc::Sender<Bytes>,
    mut mode: tokio::sync::watch::Receiver<super::serve::Mode>,
) {
    let mut ticks = tokio::time::interval(EVENT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut number = 0_u64;
    loop {
        ticks.tick().await;
        if mode.wait_for(|mode| mode.manner != Manner::Silent).await.is_err() {
            return;
        }
        number += 1;
        let event = json!({"type": "MODIFIED", "object": {"kind": "Pod", "apiVersion": "v1", "metadata":
            {"namespace": "default", "name": "stand-in", "resourceVersion": number.to_string()}}});
        if events.send(Bytes::from(format!("{event}\n"))).await.is_err() {
            return;
        }
    }
}

/// `NAMESPACE/leases/NAME` of a lease's path.
fn lease_key(path: &str) -> Option<&str> {
    let key = path.strip_prefix("/apis/coordination.k8s.io/v1/namespaces/")?;
    let (namespace, name) = key.split_once("/leases/")?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains('/')).then_some(key)
}

async fn lease(shared: &Shared, key: String, request: Request<Incoming>) -> Response<AnswerBody> {
    let method = request.method().clone();
    if method == Method::GET {
        let leases = shared.leases.lock().unwrap_or_else(PoisonError::into_inner);
        return match leases.get(&key) {
            Some(lease) => json_answer(StatusCode::OK, &lease.object),
            None => status(StatusCode::NOT_FOUND, "NotFound"),
        };
    }
    if method != Method::PUT {
        return status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed");
    }
    let Ok(body) = Limited::new(request.into_body(), BODY_LIMIT).collect().await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
    };
    let Ok(object @ Value::Object(_)) = serde_json::from_slice(&body.to_bytes()) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    put_lease(shared, key, object)
}

/// Stores a lease; one that was read before must still be the one that was read (`metadata.resourceVersion`).
fn put_lease(shared: &Shared, key: String, mut object: Value) -> Response<AnswerBody> {
    let mut leases = shared.leases.lock().unwrap_or_else(PoisonError::into_inner);
    let current = leases.get(&key).map_or(0, |lease| lease.resource_version);
    let asked = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
    if asked.is_some_and(|asked| asked != current.to_string()) {
        return status(StatusCode::CONFLICT, "Conflict");
    }
    if current == 0 && leases.len() >= LEASES_MAX {
        return status(StatusCode::INSUFFICIENT_STORAGE, "TooManyLeases");
    }
    let resource_version = current + 1;
    let Some(object_map) = object.as_object_mut() else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    let metadata = object_map.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    metadata.insert("resourceVersion".to_owned(), Value::String(resource_version.to_string()));
    let response = json_answer(StatusCode::OK, &object);
    leases.insert(key, Lease { resource_version, object });
    response
}
