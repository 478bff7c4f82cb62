//! The fleet on a redis-server.

use harness::Network;

use super::{
    all_close, one_replica_loses, server_is_killed, server_is_paused,
    server_loses_its_data_at_once, server_returns_empty,
};
use crate::shared_server::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_at_one_replica_closes_at_all() {
    all_close(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_the_server_was_killed() {
    server_is_killed(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_the_server_returned_empty() {
    server_returns_empty(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_the_server_lost_its_data_at_once() {
    server_loses_its_data_at_once(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_the_server_was_paused() {
    server_is_paused(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_agrees_after_it_was_cut_off() {
    one_replica_loses(Kind::Redis, Network::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_agrees_after_its_network_was_silent() {
    one_replica_loses(Kind::Redis, Network::Silent).await;
}
