//! How deep JSON is nested, told without recursion.

/// Whether no array or object of a JSON text lies in more than `max` - 1 others. What is no JSON may be told either way.
pub(crate) fn is_within(json: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_objects_count_and_strings_do_not() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1]}"#, 2),
            ("[[],[],{}]", 2),
            (r#"["[[[[\"[[[[", []]"#, 2),
            (r#"["\\",[]]"#, 2),
        ] {
            assert!(is_within(json, depth), "{json}");
            assert!(depth == 0 || !is_within(json, depth - 1), "{json}");
        }
        assert!(!is_within(&"[".repeat(1_000_000), 64));
    }
}
