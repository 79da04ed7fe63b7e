//! Requests between honest nodes.

use crate::support::{Node, Plan, Server, status, within};
use heddle_network::{PeerId, RequestError};
use heddle_primitives::{BlocksRequest, Height, Request, Response};

/// A node that asks, and one that answers as told.
async fn pair(server: Server) -> (Node, Node) {
    let answering = Plan::new().server(server).start().await;
    let mut asking = Plan::new().bootnodes(&[&answering]);
    asking.config.request_timeout_ms = if matches!(server, Server::Never) { 200 } else { 30_000 };
    let asking = asking.start().await;
    asking.until_connected(&answering).await;
    answering.until_connected(&asking).await;
    (asking, answering)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered() {
    let (asking, answering) = pair(Server::Height(42)).await;
    let answer = within("an answer", asking.handle.request(answering.id(), Request::Status)).await;
    assert_eq!(answer, Ok(Response::Status(status(42))));
    let back = within("an answer", answering.handle.request(asking.id(), Request::Status)).await;
    assert_eq!(back, Ok(Response::Status(status(5))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_kind_is_invalid_and_costs_score() {
    let (asking, answering) = pair(Server::Height(42)).await;
    let blocks = Request::Blocks(BlocksRequest { from: Height::new(1), count: 1 });
    let error = within("an answer", asking.handle.request(answering.id(), blocks)).await.unwrap_err();
    assert!(matches!(error, RequestError::InvalidResponse(_)) && error.is_peer_fault(), "{error}");
    asking.until_peers("a negative score", |peers| peers.iter().any(|peer| peer.score < 0.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told() {
    let (asking, answering) = pair(Server::Refuse).await;
    let refused = within("a refusal", asking.handle.request(answering.id(), Request::Status)).await;
    assert_eq!(refused, Err(RequestError::Refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_times_out_and_the_node_goes_on() {
    let (asking, answering) = pair(Server::Never).await;
    let silent = within("a timeout", asking.handle.request(answering.id(), Request::Status)).await;
    assert_eq!(silent, Err(RequestError::Timeout));
    let other_way = within("an answer", answering.handle.request(asking.id(), Request::Status)).await;
    assert_eq!(other_way, Ok(Response::Status(status(5))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_be_asked() {
    let node = Plan::new().start().await;
    let stranger = PeerId::random();
    assert_eq!(node.handle.request(stranger, Request::Status).await, Err(RequestError::NotConnected(stranger)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_peer_fails_its_requests() {
    let (asking, answering) = pair(Server::Never).await;
    let (handle, id) = (asking.handle.clone(), answering.id());
    let waiting = tokio::spawn(async move { handle.request(id, Request::Status).await });
    answering.stop().await;
    let error = within("a failure", waiting).await.unwrap().unwrap_err();
    let expected =
        [RequestError::ConnectionClosed, RequestError::Refused, RequestError::NotConnected(id), RequestError::Timeout];
    assert!(expected.contains(&error), "{error}");
}
