//! The image that operators run, and a network of it on a Docker bridge.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::docker::{Docker, HARDENED};
use heddle_e2e::turn;
use serde_json::{Value, json};

async fn image_configuration(docker: &Docker) -> Value {
    let text = docker.run(&["image", "inspect", docker.image()]).await;
    serde_json::from_str::<Value>(&text).unwrap()[0]["Config"].take()
}

#[tokio::test]
async fn the_image_says_what_it_is() {
    let _turn = turn().await;
    let Some(docker) = Docker::start().await else { return };
    let image = image_configuration(&docker).await;
    assert_eq!(image["User"], "10001:10001");
    assert_eq!(image["Entrypoint"], json!(["heddle"]));
    assert_eq!(image["StopSignal"], "SIGTERM");
    assert_eq!(image["Volumes"], json!({ "/data": {} }));
    let ports = Vec::from_iter(image["ExposedPorts"].as_object().unwrap().keys());
    assert_eq!(ports, ["30303/tcp", "30303/udp", "8545/tcp", "9001/tcp"]);
    assert_eq!(image["Healthcheck"]["Test"], json!(["CMD", "heddle", "health"]));
    for label in ["title", "description", "licenses", "version", "revision", "created", "source"] {
        assert!(image["Labels"][format!("org.opencontainers.image.{label}")].is_string(), "{label}: {image}");
    }
    let run = [&["run", "--rm"], &HARDENED[..], &[docker.image(), "--version"]].concat();
    assert!(docker.run(&run).await.starts_with("heddle "));
}
