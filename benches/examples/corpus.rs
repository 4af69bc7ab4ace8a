//! Writes a corpus and prints what is true of it: `corpus FOLDER BYTES [SEED]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, bytes, seed @ ..] = args.as_slice() else {
        return Err("usage: corpus FOLDER BYTES [SEED]".into());
    };
    let seed = seed.first().map_or(Ok(1), |seed| seed.parse())?;
    let truth = session_store::corpus::Corpus::new(seed, bytes.parse()?).write(folder.as_ref())?;
    println!("{} files, {} bytes, {} messages", truth.files, truth.bytes, truth.messages);
    println!("{:?}", truth.totals);
    println!("damaged {} hits {} torn {}", truth.damaged_lines, truth.limit_hits, truth.torn_files);
    Ok(())
}
