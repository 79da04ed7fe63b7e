//! Whether an answer is as the document says: the part of JSON Schema (2019-09) that the document uses, and no more.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The document's methods and types, as `rpc.discover` serves them.
pub static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let parse = |text| serde_json::from_str::<Value>(text).unwrap();
    let methods = parse(include_str!("../../src/openrpc/methods.json"))["methods"].take();
    let schemas = parse(include_str!("../../src/openrpc/schemas.json"));
    let mut patterns = BTreeMap::new();
    collect_patterns(&schemas, &mut patterns);
    Document { methods, schemas, patterns }
});

pub struct Document {
    pub methods: Value,
    pub schemas: Value,
    patterns: BTreeMap<String, Regex>,
}

/// The properties of a value that schemas have spoken of.
type Seen<'a> = BTreeSet<&'a str>;
/// Those, or where the value is wrong and why.
type Verdict<'a> = Result<Seen<'a>, String>;

impl Document {
    /// Why this is no answer of the method; methods that are not described may answer what they like.
    pub fn check_answer(&self, method: &str, answer: &Value) -> Result<(), String> {
        let described = self.methods.as_array().unwrap().iter().find(|described| described["name"] == method);
        described.map_or(Ok(()), |described| self.check(&described["result"]["schema"], answer))
    }

    /// Why the value is none of the type with this name.
    pub fn check_type(&self, name: &str, value: &Value) -> Result<(), String> {
        self.check(&self.schemas[name], value)
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        self.evaluate(schema, value).map(drop)
    }

    fn evaluate<'a>(&self, schema: &Value, value: &'a Value) -> Verdict<'a> {
        let rules = schema.as_object().unwrap();
        let mut seen = Seen::new();
        for (keyword, rule) in rules {
            seen.extend(self.apply(rules, keyword, rule, value)?);
        }
        match rules.get("unevaluatedProperties") {
            Some(_) => {
                properties(value).find(|(name, _)| !seen.contains(name)).map_or(Ok(seen), |(name, _)| unknown(name))
            }
            None => Ok(seen),
        }
    }

    /// What one keyword says; every one that the document uses must be known here.
    fn apply<'a>(&self, rules: &Map<String, Value>, keyword: &str, rule: &Value, value: &'a Value) -> Verdict<'a> {
        match keyword {
            // The last is looked at when all others were.
            "description" | "unevaluatedProperties" => Ok(Seen::new()),
            "$ref" => self.evaluate(self.target(rule), value),
            "type" => ensure(is_of_type(rule, value), || format!(": {value} is no {rule}")),
            "const" => ensure(rule == value, || format!(": {value} is not {rule}")),
            "enum" => ensure(list(rule).contains(value), || format!(": {value} is not in {rule}")),
            "pattern" => {
                let matches = value.as_str().is_none_or(|text| self.pattern(rule.as_str().unwrap()).is_match(text));
                ensure(matches, || format!(": {value} does not match {rule}"))
            }
            "minimum" => ensure(value.as_f64() >= rule.as_f64(), || format!(": {value} is below {rule}")),
            "maximum" => ensure(value.as_f64() <= rule.as_f64(), || format!(": {value} is above {rule}")),
            "maxItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                ensure(Some(count) <= rule.as_u64(), || format!(": {count} items, more than {rule}"))
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                let wrong =
                    items.find_map(|(index, item)| self.check(rule, item).err().map(|why| format!("/{index}{why}")));
                wrong.map_or(Ok(Seen::new()), Err)
            }
            "required" => {
                let missing = list(rule).iter().find(|name| value.get(name.as_str().unwrap()).is_none());
                ensure(missing.is_none() || !value.is_object(), || format!(": {} is missing", missing.unwrap()))
            }
            "properties" | "patternProperties" | "additionalProperties" => self.members(rules, keyword, value),
            "propertyNames" => {
                let mut names = properties(value).map(|(name, _)| Value::from(name));
                names.find_map(|name| self.check(rule, &name).err()).map_or(Ok(Seen::new()), Err)
            }
            "allOf" => {
                list(rule).iter().try_fold(Seen::new(), |seen, schema| Ok(&seen | &self.evaluate(schema, value)?))
            }
            "anyOf" | "oneOf" => {
                let verdicts = list(rule).iter().map(|schema| self.evaluate(schema, value));
                let (fits, wrong): (Vec<_>, Vec<_>) = verdicts.partition(Result::is_ok);
                let is_right = if keyword == "oneOf" { fits.len() == 1 } else { !fits.is_empty() };
                let why = || format!(": fits {} of {keyword}, otherwise {wrong:?}", fits.len());
                if is_right { Ok(fits.iter().flatten().flatten().copied().collect()) } else { Err(why()) }
            }
            _ => panic!("the document uses {keyword}, which is not known here"),
        }
    }

    /// What `keyword` says of each property that is its matter.
    fn members<'a>(&self, rules: &Map<String, Value>, keyword: &str, value: &'a Value) -> Verdict<'a> {
        let mut seen = Seen::new();
        for (name, member) in properties(value) {
            let named = rules.get("properties").and_then(|named| named.get(name));
            let mut patterns = rules.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
            let patterned =
                patterns.find(|(pattern, _)| self.pattern(pattern).is_match(name)).map(|(_, schema)| schema);
            let schema = match keyword {
                "properties" => named,
                "patternProperties" => patterned,
                _ if named.or(patterned).is_some() => None,
                _ => rules.get("additionalProperties"),
            };
            match schema {
                None => continue,
                Some(Value::Bool(false)) => return unknown(name),
                Some(schema) => self.check(schema, member).map_err(|why| format!("/{name}{why}"))?,
            }
            seen.insert(name);
        }
        Ok(seen)
    }

    fn target(&self, reference: &Value) -> &Value {
        let name = reference.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
        self.schemas.get(name).unwrap_or_else(|| panic!("no schema {name}"))
    }

    fn pattern(&self, pattern: &str) -> &Regex {
        &self.patterns[pattern]
    }
}

fn collect_patterns(schema: &Value, patterns: &mut BTreeMap<String, Regex>) {
    let mut add = |pattern: &str| drop(patterns.insert(pattern.to_owned(), Regex::new(pattern).unwrap()));
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        add(pattern);
    }
    schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten().for_each(|(name, _)| add(name));
    let members = schema.as_object().into_iter().flatten().map(|(_, member)| member);
    members.chain(schema.as_array().into_iter().flatten()).for_each(|member| collect_patterns(member, patterns));
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().unwrap()
}

fn properties(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, member)| (name.as_str(), member))
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some(other) => panic!("the document uses the type {other}, which is not known here"),
        None => list(rule).iter().any(|rule| is_of_type(rule, value)),
    }
}

fn ensure<'a>(holds: bool, why: impl FnOnce() -> String) -> Verdict<'a> {
    if holds { Ok(Seen::new()) } else { Err(why()) }
}

fn unknown<'a>(name: &str) -> Verdict<'a> {
    Err(format!(": {name} is not described"))
}
