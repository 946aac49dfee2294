//! Who asks at the admin address: found once for each request, and given to its handler as an extension.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::api::envelope;
use crate::observe::code::Code;
use crate::store::Role;

/// A person, or a script that acts for one.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: Arc<str>,
    pub role: Role,
}

/// Lets only those through who have at least `least`.
pub async fn require(State(least): State<Role>, request: Request, next: Next) -> Response {
    let role = request.extensions().get::<Person>().map(|person| person.role);
    if role.is_some_and(|role| role >= least) {
        return next.run(request).await;
    }
    envelope::failure(Code::Forbidden, &format!("This needs the role `{}`.", least.as_str()))
}
