//! Machines that are network namespaces: real processes with addresses of their own, and links that can be hurt.
//!
//! ```text
//!   the test ---- 127.0.0.1:port ----+ Namespace::forward: RPC reaches a node whatever happens to its links
//!                                    |
//!   leaf 0  10.77.0.2 ---\     +-----v---------------------------+
//!   leaf 1  10.77.1.2 ----+--- | router: forwards between leaves | --- tun: holds every packet, while there is a delay
//!   leaf N  10.77.N.2 ---/     | nft rules: what gets lost       |
//!                              +---------------------------------+
//! ```
//!
//! [`Star`] is that whole; [`Namespace`] and [`Namespace::link`] are what it is made of, for other shapes. Nothing is
//! changed in the machine's own network: every interface is created inside a namespace and disappears with it.
//!
//! Not everywhere can namespaces be made: a test begins with [`Namespace::are_possible`].

mod forward;
mod namespace;
mod shaper;
mod star;

pub use forward::Forward;
pub use namespace::Namespace;
pub use star::{Loss, Star};
