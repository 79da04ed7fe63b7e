//! `heddle health`: one question to a running node, for supervisors that run a command in its container.

use super::Incomplete;
use crate::genesis::accounts;
use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;

/// Options of `heddle health`.
#[derive(Args)]
pub struct HealthArgs {
    /// Where the node serves its probes: the address of its `--metrics`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9001", value_hint = ValueHint::Url)]
    url: String,
    /// What to ask.
    #[arg(long, value_enum, default_value_t)]
    probe: Probe,
    /// How long the answer may take [10ms to 1h].
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = accounts::parse_block_time)]
    timeout: Duration,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Probe {
    /// Whether the node is alive; if not, a restart may help.
    #[default]
    Health,
    /// Whether it can serve now: it is at the head of the chain and has peers.
    Ready,
    /// Whether its start is over.
    Startup,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }
}

/// Runs `heddle health`: an answer other than 200 is a failure with the node's own sentence, and a result all the same.
pub fn run(args: HealthArgs) -> Result<Value, Box<dyn Error>> {
    let url = format!("{}/{}", args.url.trim_end_matches('/'), args.probe.name());
    let (status, answer) = ask(&url, args.timeout).map_err(|error| format!("{url}: {error}"))?;
    let result = json!({ "probe": args.probe.name(), "status": status, "answer": answer });
    if status != 200 {
        let cause = format!("{url}: {status}: {answer}").into();
        return Err(Incomplete { cause, result }.into());
    }
    tell!("{answer}");
    Ok(result)
}

/// The status and the text of an answer, whatever they are.
fn ask(url: &str, timeout: Duration) -> Result<(u16, String), ureq::Error> {
    // Past every proxy: it is this machine that is asked, or one beside it.
    let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).proxy(None).http_status_as_error(false);
    let mut response = ureq::Agent::from(config.build()).get(url).call()?;
    let answer = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), answer.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// What the command makes of this answer.
    fn run_against(probe: Probe, status: &str, answer: &str) -> (String, Result<Value, Box<dyn Error>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let response = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
        });
        let result = run(HealthArgs { url, probe, timeout: Duration::from_secs(60) });
        (server.join().unwrap(), result)
    }

    #[test]
    fn an_answer_of_200_is_a_success() {
        let (request, result) = run_against(Probe::Health, "200 OK", "live\n");
        assert_eq!(request, "GET /health HTTP/1.1");
        assert_eq!(result.unwrap(), json!({ "probe": "health", "status": 200, "answer": "live" }));
    }

    #[test]
    fn any_other_answer_is_a_failure_with_its_words_and_a_result() {
        let (request, result) = run_against(Probe::Ready, "503 Service Unavailable", "no peers\n");
        assert_eq!(request, "GET /ready HTTP/1.1");
        let error = result.unwrap_err();
        assert!(error.to_string().ends_with("/ready: 503: no peers"), "{error}");
        let incomplete = error.downcast_ref::<Incomplete>().unwrap();
        assert_eq!(incomplete.result, json!({ "probe": "ready", "status": 503, "answer": "no peers" }));
    }

    #[test]
    fn nobody_there_is_a_failure_that_names_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let result = run(HealthArgs { url: url.clone(), probe: Probe::Startup, timeout: Duration::from_secs(60) });
        assert!(result.unwrap_err().to_string().starts_with(&format!("{url}/startup: ")));
    }
}
