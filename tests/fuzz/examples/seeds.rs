//! Writes the seeds of every target: `cargo run --example seeds -- DIR` fills `DIR/<target>/`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "seeds".to_owned());
    for (target, accepts, seeds) in heddle_fuzz::seeds::all() {
        let dir = Path::new(&dir).join(target);
        std::fs::create_dir_all(&dir)?;
        for (name, bytes) in seeds {
            assert!(accepts(&bytes), "the seed {name} of {target} is not valid");
            std::fs::write(dir.join(name), bytes)?;
        }
    }
    Ok(())
}
