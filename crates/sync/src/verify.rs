//! The checks of what peers send, which cost time: the shell makes them off the async threads.

use crate::PeerFault;
use heddle_primitives::{CertifiedBlock, CertifiedHeader, Height, LightClient, ProposedBlock, VerifiedHeader};

/// Whether a light client can go on with these headers: it is just before the first, and knows who decides it.
pub fn can_follow(client: &LightClient, headers: &[CertifiedHeader]) -> bool {
    let next = client.header().number.checked_add(1);
    headers.first().is_some_and(|first| Some(first.header.number) == next && first.header.number <= client.last_known())
}

/// Follows headers as far as the validators are known; those up to the client's own are left out. The client stays where it
/// was when one is wrong.
///
/// # Errors
/// What the sender did wrong.
pub fn verify_headers(
    client: &mut LightClient,
    mut headers: Vec<CertifiedHeader>,
) -> Result<Vec<VerifiedHeader>, PeerFault> {
    let known = client.header().number;
    headers.retain(|certified| certified.header.number > known);
    if !can_follow(client, &headers) {
        return Ok(Vec::new());
    }
    let mut following = client.clone();
    let verified = following.follow_linked(headers);
    let verified = verified.map_err(|error| PeerFault::InvalidHeader(error.to_string()))?;
    *client = following;
    Ok(verified)
}

/// Holds blocks against their final headers, up to the first that is another one. An access list that is not the block's is
/// dropped, and does not end it. What their sender did wrong comes beside.
pub fn match_blocks(blocks: Vec<(ProposedBlock, VerifiedHeader)>) -> (Vec<CertifiedBlock>, Option<PeerFault>) {
    let (mut matched, mut fault) = (Vec::with_capacity(blocks.len()), None);
    for (mut block, header) in blocks {
        let height = Height::new(header.header().number);
        if let Err(mismatch) = block.check_access_list() {
            block.access_list = None;
            fault = fault.or(Some(PeerFault::WrongAccessList(height, mismatch)));
        }
        match CertifiedBlock::of_header(block, &header) {
            Ok(block) => matched.push(block),
            Err(error) => {
                let fault = PeerFault::InvalidBlock(format!("block {height}: {error}"));
                return (matched, Some(fault));
            }
        }
    }
    (matched, fault)
}
