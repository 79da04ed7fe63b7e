//! The methods, named as go-ethereum's where it has them. A peer is named by its id, an address is a multiaddr.

use heddle_network::{Multiaddr, NetworkHandle, PeerCommandError, PeerId, PeerRecord, client_version};
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value, json};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// How long a peer may be banned, in seconds: up to a year.
pub const BAN_SECONDS: RangeInclusive<u64> = 1..=365 * 24 * 3_600;

/// The code of what is well-formed and cannot be done.
const REJECTED_CODE: i32 = -32000;

/// Why a call has no result, in JSON-RPC's terms.
type Answer = Result<Value, ErrorObjectOwned>;

/// All methods, about the peers of `network`.
///
/// # Errors
/// When two have one name: our fault.
pub fn methods(network: NetworkHandle) -> Result<RpcModule<NetworkHandle>, RegisterMethodError> {
    let mut module = RpcModule::new(network);
    module.register_method("admin_nodeInfo", |_, network, _| node_info(network))?;
    module.register_async_method("admin_peers", |_, network, _| async move {
        let records = network.peer_records().await.map_err(rejected)?;
        Answer::Ok(records.iter().map(peer).collect())
    })?;
    module.register_async_method("admin_addPeer", |params, network, _| async move {
        let address: Multiaddr = argument(&params)?;
        network.add_peer(address).await.map_err(rejected)?;
        Answer::Ok(true.into())
    })?;
    module.register_async_method("admin_removePeer", |params, network, _| async move {
        let was_known = network.remove_peer(argument(&params)?).await.map_err(rejected)?;
        Answer::Ok(was_known.into())
    })?;
    module.register_async_method("admin_banPeer", |params, network, _| async move {
        let (peer, time) = ban(&params)?;
        network.ban_peer(peer, time).await.map_err(rejected)?;
        Answer::Ok(true.into())
    })?;
    module.register_async_method("admin_unbanPeer", |params, network, _| async move {
        let was_banned = network.unban_peer(argument(&params)?).await.map_err(rejected)?;
        Answer::Ok(was_banned.into())
    })?;
    Ok(module)
}

/// The node itself, as others would add it.
fn node_info(network: &NetworkHandle) -> Value {
    json!({
        "id": network.local_peer_id().to_string(),
        "name": client_version(),
        "listenAddresses": network.listen_addresses(),
    })
}

fn peer(record: &PeerRecord) -> Value {
    json!({
        "id": record.peer_id.to_string(),
        "name": record.agent,
        "addresses": record.addresses,
        "state": record.state.to_string(),
        "inbound": record.inbound,
        "persistent": record.persistent,
        "score": record.score,
        "bannedForSeconds": record.banned_for.map(|time| time.as_secs()),
        "lastSeenSecondsAgo": record.last_seen.map(|time| time.as_secs()),
    })
}

/// The one argument of a method.
fn argument<T: FromStr<Err: Display>>(params: &Params<'_>) -> Result<T, ErrorObjectOwned> {
    parse(&params.one::<String>()?)
}

/// A peer, and for how many seconds.
fn ban(params: &Params<'_>) -> Result<(PeerId, Duration), ErrorObjectOwned> {
    let (peer, seconds) = params.parse::<(String, u64)>()?;
    if !BAN_SECONDS.contains(&seconds) {
        return Err(invalid(format!(
            "a ban of {seconds} seconds: expected {} to {}",
            BAN_SECONDS.start(),
            BAN_SECONDS.end()
        )));
    }
    Ok((parse(&peer)?, Duration::from_secs(seconds)))
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, ErrorObjectOwned> {
    text.parse().map_err(|error| invalid(format!("`{text}`: {error}")))
}

fn invalid(message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, message, None::<()>)
}

fn rejected(error: PeerCommandError) -> ErrorObjectOwned {
    let code = if error == PeerCommandError::Stopped { INTERNAL_ERROR_CODE } else { REJECTED_CODE };
    ErrorObjectOwned::owned(code, error.to_string(), None::<()>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_names_a_peer_and_ends() {
        let id = PeerId::random().to_string();
        let parsed = |text: String| ban(&Params::new(Some(&text)));
        let (peer, time) = parsed(json!([id, 3_600]).to_string()).unwrap();
        assert_eq!((peer.to_string(), time.as_secs()), (id.clone(), 3_600));
        for params in
            [json!([]), json!([id]), json!([id, 0]), json!([id, u64::MAX]), json!(["me", 60]), json!([id, -1])]
        {
            let error = parsed(params.to_string()).unwrap_err();
            assert_eq!(error.code(), INVALID_PARAMS_CODE, "{params}");
        }
    }
}
