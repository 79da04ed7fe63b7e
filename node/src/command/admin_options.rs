//! Options of the server that `heddle peers` asks.

use clap::Args;
use std::net::{IpAddr, SocketAddr};

/// Options of `heddle node` about the admin server; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct AdminOptions {
    /// Address to serve `heddle peers` on.
    ///
    /// Whoever has the token in admin.json of the data directory may use it.
    #[arg(
        id = "admin.addr",
        long = "admin.addr",
        env = "HEDDLE_ADMIN_ADDR",
        value_name = "IP",
        default_value = "127.0.0.1",
        help_heading = "Admin"
    )]
    admin_addr: IpAddr,
    /// Port to serve `heddle peers` on; 0 lets the system choose.
    #[arg(
        id = "admin.port",
        long = "admin.port",
        env = "HEDDLE_ADMIN_PORT",
        value_name = "PORT",
        default_value_t = 0,
        help_heading = "Admin"
    )]
    admin_port: u16,
    /// Do not serve `heddle peers`.
    #[arg(id = "no-admin", long = "no-admin", env = "HEDDLE_NO_ADMIN", help_heading = "Admin")]
    no_admin: bool,
}

impl AdminOptions {
    /// Where to serve; `None` when it is not wanted.
    pub fn address(&self) -> Option<SocketAddr> {
        (!self.no_admin).then(|| SocketAddr::new(self.admin_addr, self.admin_port))
    }
}
