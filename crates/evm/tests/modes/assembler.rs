//! Bytecode from a line of text.

use revm::bytecode::opcode::{JUMPDEST, OpCode, PUSH1, PUSH2};
use std::collections::HashMap;

/// Assembles words separated by white space:
///
/// - a decimal or `0x` number of at most 32 bytes is pushed;
/// - `a`, `b`, `c` push the first, second, third word of the call's data;
/// - `:name` is a place to jump to, `@name` pushes it;
/// - all else is the name of an instruction.
pub fn assemble(text: &str) -> Vec<u8> {
    let mut code = Vec::new();
    let mut labels = HashMap::new();
    let mut uses = Vec::new();
    for word in text.split_whitespace() {
        if let Some(label) = word.strip_prefix(':') {
            labels.insert(label, code.len());
            code.push(JUMPDEST);
        } else if let Some(label) = word.strip_prefix('@') {
            uses.push((code.len() + 1, label));
            code.extend([PUSH2, 0, 0]);
        } else if let Some(position) = ["a", "b", "c"].iter().position(|name| *name == word) {
            code.extend(assemble(&format!("{} calldataload", 32 * position)));
        } else if word.starts_with(|first: char| first.is_ascii_digit()) {
            push(&mut code, word);
        } else {
            code.push(instruction(word));
        }
    }
    for (position, label) in uses {
        let target = u16::try_from(labels[label]).unwrap();
        code[position..position + 2].copy_from_slice(&target.to_be_bytes());
    }
    code
}

/// Init code that runs `prelude` and then deploys `runtime`.
pub fn init_code(prelude: &str, runtime: &[u8]) -> Vec<u8> {
    let length = runtime.len();
    let before = |offset: usize| assemble(&format!("{prelude} {length} 0x{offset:04x} 0 codecopy {length} 0 return"));
    let mut code = before(before(0).len());
    code.extend_from_slice(runtime);
    code
}

fn push(code: &mut Vec<u8>, number: &str) {
    let bytes = match number.strip_prefix("0x") {
        Some(digits) => alloy_primitives::hex::decode(digits).unwrap(),
        None => {
            let bytes = number.parse::<u64>().unwrap().to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
            bytes[zeros..].to_vec()
        }
    };
    code.push(PUSH1 + u8::try_from(bytes.len() - 1).unwrap());
    code.extend(bytes);
}

fn instruction(name: &str) -> u8 {
    let name = name.to_uppercase();
    (0..=u8::MAX)
        .find(|byte| OpCode::new(*byte).is_some_and(|code| code.as_str() == name))
        .unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn text_becomes_bytes() {
    assert_eq!(assemble("1 :x 0x0102 @x b jump"), [0x60, 1, 0x5b, 0x61, 1, 2, 0x61, 0, 2, 0x60, 32, 0x35, 0x56]);
    assert_eq!(init_code("stop", &[7, 8]), [0, 0x60, 2, 0x61, 0, 14, 0x60, 0, 0x39, 0x60, 2, 0x60, 0, 0xf3, 7, 8]);
}
