//! What the benchmark compares with: hand-written programs that answer the benchmark's requests with the least that can be done.
//! `yardstick KIND PORT TARGET`: see `KINDS`.

mod bare;
mod mysql;
mod postgres;
mod sqlite;
mod stages;
mod web;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that serve, as many as Tidegate has by default on the same machine.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What there is, and what its target is.
const KINDS: &str = "bare PORT FILE       the answer in FILE (head and body) for every request, by hyper on pingora's stream
postgres PORT URL    a row of `item` by `?id=`, by hyper and tokio-postgres
mysql PORT URL       the same, by hyper and mysql_async
sqlite PORT FILE     the same, by hyper and rusqlite on a thread a processor
stages ROOT TARGET…  no yardstick: the time of each stage of Tidegate's request path";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, root, targets @ ..] = &args[..]
        && kind == "stages"
    {
        return stages::print(root, targets);
    }
    let [kind, port, target] = &args[..] else { panic!("usage:\n{KINDS}") };
    let port = port.parse().expect("PORT is a number");
    match kind.as_str() {
        "bare" => bare::serve(port, target),
        "postgres" => web::serve(port, postgres::Items::open(target)),
        "mysql" => web::serve(port, mysql::Items::open(target)),
        "sqlite" => web::serve(port, sqlite::Items::open(target)),
        _ => panic!("usage:\n{KINDS}"),
    }
}
