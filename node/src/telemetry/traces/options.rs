//! Where spans go, and of which transactions.

use super::Sampling;
use hyper::Uri;

/// Where spans go, and of which transactions.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector's URL, with its path; see [`parse_endpoint`].
    pub endpoint: String,
    /// The transactions.
    pub sampling: Sampling,
}

/// The path that collectors serve OTLP over HTTP under.
const DEFAULT_PATH: &str = "/v1/traces";

/// Checks the URL of a collector, and adds the usual path to one that has none. A URL is told in the log, so it may not
/// carry credentials.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    let expected = "expected the URL of an OTLP/HTTP collector, for example http://127.0.0.1:4318";
    // Wherever it stands: a password may hold a slash, behind which the rest of it looks like a path.
    if text.contains('@') {
        return Err(format!("it has an @, and a collector is sent no user and no password; {expected}"));
    }
    let uri: Uri = text.parse().map_err(|error| format!("{error}; {expected}"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err("https is not spoken here: run a collector beside the node, and name it by http://".into());
        }
        _ => return Err(format!("it does not begin with http://; {expected}")),
    }
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    match uri.path_and_query().map(|path| path.as_str()) {
        None | Some("/") => Ok(format!("http://{authority}{DEFAULT_PATH}")),
        Some(path) => Ok(format!("http://{authority}{path}")),
    }
}
