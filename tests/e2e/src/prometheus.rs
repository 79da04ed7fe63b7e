//! Debian's Prometheus, reading nodes that a test runs.

use crate::{Rpc, eventually, free_port, path_text};
use serde_json::Value;
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running Prometheus; dropping it kills it and removes its data.
pub struct Prometheus {
    server: Rpc,
    // Ended before its files are removed.
    process: Child,
    _dir: TempDir,
}

impl Prometheus {
    /// Reads these ports of 127.0.0.1 every second, as the job `heddle`, and judges them by the rules in a file.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start(ports: &[u16], rules: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let targets = Vec::from_iter(ports.iter().map(|port| format!("127.0.0.1:{port}")));
        let config = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{ "job_name": "heddle", "static_configs": [{ "targets": targets }] }],
        });
        let (file, data, log) =
            (dir.path().join("prometheus.yaml"), dir.path().join("data"), dir.path().join("prometheus.log"));
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let port = free_port();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path_text(&file)))
            .arg(format!("--storage.tsdb.path={}", path_text(&data)))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut prometheus = Self { server: Rpc::new(port), process, _dir: dir };
        prometheus.wait_ready(&log).await;
        prometheus
    }

    async fn wait_ready(&mut self, log: &PathBuf) {
        let Self { server, process, .. } = self;
        eventually("Prometheus to be ready", async || {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "Prometheus ended:\n{}", std::fs::read_to_string(log).unwrap());
            server.get("/-/ready").await.ok().filter(|answer| answer.contains("Ready"))
        })
        .await;
    }

    /// The values of an expression now, one a series.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub async fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let answer = self.get(&format!("/api/v1/query?query={}", percent_encoded(expression))).await;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let series = answer["data"]["result"].as_array().ok_or("an expression with series as its value")?;
        let values = series.iter().map(|series| series["value"][1].as_str()?.parse().ok());
        values.collect::<Option<_>>().ok_or_else(|| format!("{expression} gives no numbers: {answer}"))
    }

    /// What the API has at a path.
    ///
    /// # Panics
    /// When that is no JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.server.get(path).await.unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}
