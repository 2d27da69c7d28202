//! The fenced blocks of README.md, which the tests take at its word.

use std::path::Path;

/// A fenced block: what stands behind the fence, and the lines within, without the fence's own indentation.
pub struct Block {
    pub kind: String,
    pub text: String,
    pub line: usize,
}

/// All blocks, in their order.
pub fn blocks() -> Vec<Block> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README.md");
    let mut blocks = Vec::new();
    let mut lines = readme.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut text = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            text += line.get(indent..).unwrap_or_default();
            text.push('\n');
        }
        blocks.push(Block { kind: kind.trim().to_owned(), text, line: number + 1 });
    }
    blocks
}

/// The one block of that kind.
pub fn block(kind: &str) -> Block {
    let mut found = blocks().into_iter().filter(|block| block.kind == kind);
    let block = found.next().unwrap_or_else(|| panic!("README.md has no block `{kind}`"));
    assert_eq!(found.count(), 0, "README.md has more than one block `{kind}`");
    block
}
