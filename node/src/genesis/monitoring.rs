//! Prometheus and Grafana beside the containers of a network, set up by the repository's own files.

use super::files::write_public;
use super::network::{Network, Node};
use std::fmt::Write;

/// What is mounted, by its name below the network's directory.
const FILES: [(&str, &str); 4] = [
    ("prometheus/rules.yaml", include_str!("../../../config/prometheus/rules.yaml")),
    ("grafana/dashboards/dashboard.json", include_str!("../../../config/grafana/dashboard.json")),
    (
        "grafana/provisioning/datasources/prometheus.yaml",
        include_str!("../../../config/grafana/provisioning/datasources/prometheus.yaml"),
    ),
    (
        "grafana/provisioning/dashboards/heddle.yaml",
        include_str!("../../../config/grafana/provisioning/dashboards/heddle.yaml"),
    ),
];

/// How the list of nodes, the last of that file, is indented.
const TARGET: &str = "          - ";

/// Writes the files that the services mount.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(network: &Network, nodes: &[Node<'_>]) -> Result<(), String> {
    if network.description.monitoring.prometheus {
        write_public(&network.out.join("prometheus/prometheus.yaml"), &scraping(network, nodes))?;
        for (name, content) in FILES {
            write_public(&network.out.join(name), content)?;
        }
    }
    Ok(())
}

/// The repository's configuration, with the nodes of this network.
fn scraping(network: &Network, nodes: &[Node<'_>]) -> String {
    const FILE: &str = include_str!("../../../config/prometheus/prometheus.yaml");
    let mut text = String::new();
    for line in FILE.lines().filter(|line| !line.starts_with(TARGET)) {
        let _ = writeln!(text, "{line}");
    }
    for node in nodes {
        let _ = writeln!(text, "{TARGET}{}:{}", network.full_name(node), network.description.ports.metrics);
    }
    text
}

/// The services, and the names of their volumes.
pub fn services(network: &Network) -> (String, Vec<&'static str>) {
    let (mut text, mut volumes) = (String::new(), Vec::new());
    let (name, monitoring) = (&network.description.name, network.description.monitoring);
    if monitoring.prometheus {
        volumes.push("prometheus");
        let _ = write!(
            text,
            r#"  prometheus:
    <<: *hardened
    image: prom/prometheus:v3.5.0
    container_name: {name}-prometheus
    command: [--config.file=/etc/prometheus/prometheus.yaml, --storage.tsdb.path=/prometheus, --storage.tsdb.retention.time=15d]
    cpus: 1
    mem_limit: 1g
    volumes:
      - ./prometheus:/etc/prometheus:ro
      - prometheus:/prometheus
    ports: ["127.0.0.1:9090:9090"]
    healthcheck:
      test: [CMD, promtool, check, healthy]

"#
        );
    }
    if monitoring.grafana {
        volumes.push("grafana");
        let _ = write!(
            text,
            r#"  grafana:
    <<: *hardened
    image: grafana/grafana:12.1.0
    container_name: {name}-grafana
    # Whoever reaches the port may look, and nobody may change anything.
    environment:
      GF_AUTH_ANONYMOUS_ENABLED: "true"
      GF_AUTH_DISABLE_LOGIN_FORM: "true"
      GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: "true"
      GF_ANALYTICS_REPORTING_ENABLED: "false"
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false"
      GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: /var/lib/grafana/dashboards/dashboard.json
    cpus: 1
    mem_limit: 512m
    volumes:
      - ./grafana/provisioning:/etc/grafana/provisioning:ro
      - grafana:/var/lib/grafana
      - ./grafana/dashboards:/var/lib/grafana/dashboards:ro
    ports: ["127.0.0.1:3000:3000"]
    depends_on: [prometheus]

"#
        );
    }
    (text, volumes)
}
