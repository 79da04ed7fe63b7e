//! Helm's objects are kustomize's.

use crate::{OVERLAYS, config, overlay};
use heddle_e2e::kubernetes::{Manifests, differences, has_kubectl, helm};

#[tokio::test]
async fn the_chart_renders_what_the_overlays_do() {
    if !has_kubectl().await {
        return;
    }
    let Some(helm) = helm().await else { return };
    for name in OVERLAYS {
        let overlay = overlay(name);
        let expected = Manifests::kustomize(&overlay);
        let chart = config().join("kubernetes/chart");
        let rendered = Manifests::helm(&helm, &chart, "heddle", &overlay.join("values.yaml"));
        let mut expected = expected.by_name();
        // Helm makes the namespace itself, before it has anything to put there.
        assert!(expected.remove(&("Namespace".to_owned(), "heddle".to_owned())).is_some());
        let rendered = rendered.by_name();
        assert!(expected.keys().eq(rendered.keys()), "{name}: {:?} and {:?}", expected.keys(), rendered.keys());
        for (which, object) in expected {
            let differences = differences(rendered[&which], object);
            assert!(differences.is_empty(), "{name}: {which:?} of the chart, and of the overlay: {differences:#?}");
        }
    }
}
