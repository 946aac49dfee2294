//! Who asks at the admin address: found once for each request, and given to its handler as an extension.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::Response;

use crate::admin::api::envelope;
use crate::observe::code::Code;
use crate::store::{Role, Session};

/// A person, or a script that acts for one.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: Arc<str>,
    pub role: Role,
    /// The session, of a person who has logged in.
    pub session: Option<Arc<Session>>,
}

/// The address that a request comes from, as text; empty where it is not known.
pub fn address(extensions: &Extensions) -> String {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0.ip().to_canonical().to_string()).unwrap_or_default()
}

/// Lets only those through who have at least `least`.
pub async fn require(State(least): State<Role>, request: Request, next: Next) -> Response {
    let role = request.extensions().get::<Person>().map(|person| person.role);
    if role.is_some_and(|role| role >= least) {
        return next.run(request).await;
    }
    envelope::failure(Code::Forbidden, &format!("This needs the role `{}`.", least.as_str()))
}
