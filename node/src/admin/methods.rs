//! The methods, named as go-ethereum's where it has them. A peer is named by its id, an address is a multiaddr.
//! `admin_peers` lists those that are connected, and with `true` as its argument all that are known.

use super::shapes::{is_connected, node_info, peer};
use heddle_chain::Chain;
use heddle_network::{Multiaddr, NetworkHandle, PeerCommandError, PeerId};
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::Value;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long a peer may be banned, in seconds: up to a year.
pub const BAN_SECONDS: RangeInclusive<u64> = 1..=365 * 24 * 3_600;

/// The code of what is well-formed and cannot be done.
const REJECTED_CODE: i32 = -32000;

/// Why a call has no result, in JSON-RPC's terms.
type Answer = Result<Value, ErrorObjectOwned>;

/// What the methods are about.
#[derive(Clone)]
pub struct Subject {
    /// Whose peers.
    pub network: NetworkHandle,
    /// The chain that they share.
    pub chain: Chain,
    /// Where the node keeps what is its own.
    pub datadir: PathBuf,
}

/// All methods.
///
/// # Errors
/// When two have one name: our fault.
pub fn methods(subject: Subject) -> Result<RpcModule<Subject>, RegisterMethodError> {
    let mut module = RpcModule::new(subject);
    module.register_method("admin_nodeInfo", |_, node, _| node_info(&node.network, &node.chain))?;
    module.register_method("admin_datadir", |_, node, _| node.datadir.display().to_string())?;
    module.register_async_method("admin_peers", |params, node, _| async move {
        let all = params.sequence().optional_next::<bool>()?.unwrap_or_default();
        let records = node.network.peer_records().await.map_err(rejected)?;
        Answer::Ok(records.iter().filter(|record| all || is_connected(record)).map(peer).collect())
    })?;
    module.register_async_method("admin_addPeer", |params, node, _| async move {
        let address: Multiaddr = argument(&params)?;
        node.network.add_peer(address).await.map_err(rejected)?;
        Answer::Ok(true.into())
    })?;
    module.register_async_method("admin_removePeer", |params, node, _| async move {
        node.network.remove_peer(named_peer(&params)?).await.map_err(rejected)?;
        Answer::Ok(true.into())
    })?;
    module.register_async_method("admin_banPeer", |params, node, _| async move {
        let (peer, time) = ban(&params)?;
        node.network.ban_peer(peer, time).await.map_err(rejected)?;
        Answer::Ok(true.into())
    })?;
    module.register_async_method("admin_unbanPeer", |params, node, _| async move {
        let was_banned = node.network.unban_peer(argument(&params)?).await.map_err(rejected)?;
        Answer::Ok(was_banned.into())
    })?;
    Ok(module)
}

/// The one argument of a method.
fn argument<T: FromStr<Err: Display>>(params: &Params<'_>) -> Result<T, ErrorObjectOwned> {
    parse(&params.one::<String>()?)
}

/// A peer by its id, or by an address that ends in it, as `admin_addPeer` takes it.
fn named_peer(params: &Params<'_>) -> Result<PeerId, ErrorObjectOwned> {
    let text = params.one::<String>()?;
    parse(text.rsplit('/').next().unwrap_or_default())
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
    use serde_json::json;

    #[test]
    fn a_peer_is_named_by_its_id_or_address() {
        let id = PeerId::random();
        let named = |text: String| named_peer(&Params::new(Some(&json!([text]).to_string())));
        assert_eq!(named(id.to_string()), Ok(id));
        assert_eq!(named(format!("/ip4/127.0.0.1/tcp/1/p2p/{id}")), Ok(id));
        for text in ["", "/", "/ip4/127.0.0.1/tcp/1", "me"] {
            assert_eq!(named(text.to_owned()).unwrap_err().code(), INVALID_PARAMS_CODE, "{text}");
        }
    }

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
