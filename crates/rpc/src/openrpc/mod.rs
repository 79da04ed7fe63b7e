//! `rpc.discover`: the methods that a caller is served, for programs, as a document of OpenRPC 1.3.2. The book's table of
//! methods is made of the same data.

use crate::error::MethodError;
use crate::modules::Namespaces;
use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::LazyLock;

/// The version of the specification that the document follows.
const OPENRPC: &str = "1.3.2";

/// Parsed when the first caller asks: most nodes are never asked.
static KNOWN: LazyLock<Result<Known, serde_json::Error>> = LazyLock::new(|| {
    let Methods { methods } = serde_json::from_str(include_str!("methods.json"))?;
    let schemas = serde_json::from_str(include_str!("schemas.json"))?;
    Ok(Known { methods, components: Components { schemas } })
});

/// The methods of all namespaces, and the types that they name.
struct Known {
    methods: Vec<Method>,
    components: Components,
}

/// The methods' file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Methods {
    methods: Vec<Method>,
}

/// What methods share.
#[derive(Serialize)]
struct Components {
    /// Types by name, in JSON Schema.
    schemas: Value,
}

/// A method, in the specification's words.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Method {
    name: String,
    summary: String,
    params: Vec<Parameter>,
    result: Value,
}

/// A parameter of a method.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    required: bool,
    schema: Value,
}

/// What a caller is answered.
#[derive(Clone, Serialize)]
struct Document {
    openrpc: &'static str,
    info: Info,
    methods: Vec<Served>,
    components: &'static Components,
}

#[derive(Clone, Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
}

/// A method, and how it takes its parameters: none takes them by name.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    #[serde(flatten)]
    method: &'static Method,
    param_structure: &'static str,
}

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.of_caller("rpc.discover", discover)
}

/// The types are all there, also those that only other namespaces name.
fn discover(namespaces: &Namespaces) -> Result<Document, MethodError> {
    let known = known()?;
    let served = known.methods.iter().filter(|method| namespaces.have(&method.name));
    Ok(Document {
        openrpc: OPENRPC,
        info: Info { title: "Heddle JSON-RPC", version: env!("CARGO_PKG_VERSION") },
        methods: served.map(|method| Served { method, param_structure: "by-position" }).collect(),
        components: &known.components,
    })
}

/// The embedded data; that it is malformed would be our fault.
fn known() -> Result<&'static Known, MethodError> {
    KNOWN.as_ref().map_err(|error| MethodError::Internal(format!("methods.json or schemas.json: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What the table is between, in the book.
    const BEGIN: &str = "<!-- methods: generated from crates/rpc/src/openrpc/methods.json -->";
    const END: &str = "<!-- end of methods -->";

    fn row(method: &Method) -> String {
        let parameters = Vec::from_iter(method.params.iter().map(|parameter| format!(" {}", parameter.name)));
        format!("| `{}` |{} | {} |\n", method.name, parameters.join(","), method.summary)
    }

    fn table() -> String {
        let rows = String::from_iter(known().unwrap().methods.iter().map(row));
        format!("| method | parameters | answer |\n| --- | --- | --- |\n{rows}")
    }

    #[test]
    fn the_books_table_is_made_of_the_data() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/rpc.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let wanted = format!("{before}{BEGIN}\n\n{}\n{END}{after}", table());
        if std::env::var_os("HEDDLE_UPDATE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&path, wanted).unwrap();
            return;
        }
        assert!(page == wanted, "docs/src/rpc.md is behind methods.json: test once with HEDDLE_UPDATE_DOCS=1");
    }

    #[test]
    fn what_is_required_comes_first_and_nothing_twice() {
        let methods = &known().unwrap().methods;
        assert_eq!(BTreeSet::from_iter(methods.iter().map(|method| &method.name)).len(), methods.len());
        for Method { name, params, .. } in methods {
            assert!(params.is_sorted_by_key(|parameter| !parameter.required), "{name}");
            let names = BTreeSet::from_iter(params.iter().map(|parameter| &parameter.name));
            assert_eq!(names.len(), params.len(), "{name}");
        }
    }

    #[test]
    fn a_caller_is_told_of_what_it_is_served() {
        let document = discover(&Namespaces(["net"].into())).unwrap();
        let names = Vec::from_iter(document.methods.iter().map(|served| served.method.name.as_str()));
        assert_eq!(names, ["net_listening", "net_peerCount", "net_version", "rpc.discover", "rpc_modules"]);
        let first = serde_json::to_value(&document).unwrap()["methods"][0].clone();
        assert_eq!(first["name"], "net_listening");
        assert_eq!(first["paramStructure"], "by-position");
    }
}
