//! Access lists on their way.

use crate::MAX_ACCESS_LIST_BYTES;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header};

/// The RLP of an access list (EIP-7928). It is decoded only once its hash is known to be the right one: a byte can become
/// a slot of 32, so that a stranger's list could take many times its length in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAccessList(Bytes);

impl EncodedAccessList {
    /// Encodes a list.
    pub fn new(list: &BlockAccessList) -> Self {
        Self(alloy_rlp::encode(list).into())
    }

    /// Takes the RLP of a list as it is stored.
    pub fn from_rlp(rlp: impl Into<Bytes>) -> Self {
        Self(rlp.into())
    }

    /// Keccak-256 of the RLP: what a header binds.
    pub fn hash(&self) -> B256 {
        keccak256(&self.0)
    }

    /// The list.
    ///
    /// # Errors
    /// The RLP rule that the bytes break.
    pub fn decode_list(&self) -> alloy_rlp::Result<BlockAccessList> {
        alloy_rlp::decode_exact(&self.0)
    }
}

/// As the list itself is encoded.
impl Encodable for EncodedAccessList {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_slice(&self.0);
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

/// Reads one RLP list of at most [`MAX_ACCESS_LIST_BYTES`], whatever is in it.
impl Decodable for EncodedAccessList {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let all = *buf;
        Header::decode_bytes(buf, true)?;
        let bytes = all.len() - buf.len();
        if bytes > MAX_ACCESS_LIST_BYTES {
            return Err(alloy_rlp::Error::Custom("access list is larger than its limit"));
        }
        Ok(Self(Bytes::copy_from_slice(all.get(..bytes).unwrap_or_default())))
    }
}
