//! Names are resolved again at every dial.

use crate::support::{Node, Plan, within, without_peer_id};
use heddle_network::{Multiaddr, PeerId};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, TXT},
    },
};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{net::UdpSocket, sync::watch, task::JoinHandle};

/// Answers may be remembered for a day; they are not.
const TTL: u32 = 24 * 60 * 60;

/// A name server that answers every question for a record of one kind with what it was last told.
pub struct NameServer {
    pub address: SocketAddr,
    answer: watch::Sender<RData>,
    asked: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl NameServer {
    pub async fn start(answer: RData) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (answer, answers) = watch::channel(answer);
        let (count, asked) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let response = respond(&buffer[..length], &answers.borrow().clone());
                socket.send_to(&response, client).await.unwrap();
                count.send_modify(|count| *count += 1);
            }
        });
        Self { address, answer, asked, task }
    }

    async fn until_asked(&self, times: usize) {
        within("a question", self.asked.clone().wait_for(|asked| *asked >= times)).await.unwrap();
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn respond(query: &[u8], answer: &RData) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.add_queries(query.queries.clone());
    match query.queries.first() {
        Some(question) if question.query_type() == answer.record_type() => {
            response.add_answer(Record::from_rdata(question.name().clone(), TTL, answer.clone()));
        }
        _ => response.metadata.response_code = ResponseCode::NoError,
    }
    response.to_vec().unwrap()
}

/// A node at `ip`, on the port that `address` names.
async fn start_at(plan: Plan, ip: [u8; 4], address: &Multiaddr) -> Node {
    let moved = address.replace(0, |_| Some(Ipv4Addr::from(ip).into())).unwrap();
    plan.listen(vec![moved]).start().await
}

/// Where the name first leads: nobody is there.
const NOBODY: [u8; 4] = [127, 0, 0, 9];
/// Where the node is, and where it moves.
const FIRST: [u8; 4] = [127, 0, 0, 1];
const SECOND: [u8; 4] = [127, 0, 0, 3];

/// `name` is dialled while it leads nowhere, to a node, and to where that node has moved.
async fn a_name_is_followed(name: &str, answer: impl Fn([u8; 4], &Multiaddr, PeerId) -> RData) {
    let plan = Plan::new();
    let id = plan.key.peer_id();
    let first = start_at(plan.clone(), FIRST, &"/ip4/127.0.0.1/tcp/0".parse().unwrap()).await;
    let address = without_peer_id(&first.handle.listen_addresses()).remove(0);
    let server = NameServer::start(answer(NOBODY, &address, id)).await;

    let mut follower = Plan::new().hidden();
    follower.config.nameservers = vec![server.address];
    let port = address.iter().nth(1).unwrap();
    let named: Multiaddr = name.parse().unwrap();
    let named = if name.starts_with("/dnsaddr") { named } else { named.with(port) };
    follower.config.bootnodes = vec![named.with_p2p(id).unwrap()];
    let follower = follower.start().await;
    server.until_asked(3).await;
    assert_eq!(follower.handle.peer_count(), 0);

    server.answer.send_replace(answer(FIRST, &address, id));
    follower.until_connected(&first).await;

    server.answer.send_replace(answer(SECOND, &address, id));
    first.stop().await;
    follower.until_lost(id).await;
    let second = start_at(plan, SECOND, &address).await;
    follower.until_connected(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns4_name_is_resolved_at_every_dial() {
    a_name_is_followed("/dns4/node.example", |ip, _, _| RData::A(A(ip.into()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns_name_is_resolved_at_every_dial() {
    a_name_is_followed("/dns/node.example", |ip, _, _| RData::A(A(ip.into()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dnsaddr_is_resolved_at_every_dial() {
    a_name_is_followed("/dnsaddr/node.example", |ip, address, id| {
        let address = address.replace(0, |_| Some(Ipv4Addr::from(ip).into())).unwrap();
        RData::TXT(TXT::new(vec![format!("dnsaddr={address}/p2p/{id}")]))
    })
    .await;
}
