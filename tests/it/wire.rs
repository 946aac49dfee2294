//! What goes over the wire: requests that are not clear, connections that are slow, idle, stalled or too many, and readers
//! that do not read.

mod deadlines;
mod framing;
mod http2;
mod lane;
mod readers;
